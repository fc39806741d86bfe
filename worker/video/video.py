"""An untrusted video, opened and probed once; its packets can be read as often as a job needs."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence, Set
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from threading import get_ident
from typing import Any, BinaryIO, Final, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from worker.media.decoding_costs import require_few_scans
from worker.media.media_errors import DamagedMedia
from worker.settings import MediaLimits
from worker.video.probe import (
    VideoInfo,
    describe,
    open_container,
    sniff_video,
    translating_damage,
)

# Packets tried for a first frame: a stream joined in its middle has up to ten seconds without one.
MAX_PROBED_PACKETS: Final = 500

_Place = tuple[int, int | None, int | None, int]  # stream, dts, byte position, size


class Video:
    """An opened video and what it is: `info`, within `limits`; a context manager.

    One pass over its packets at a time: a new one ends the one before. Passes rewind the open file.
    Where that does not lead back to its first packets, FFmpeg opens it again; `opens` counts.
    """

    def __init__(self, file: BinaryIO, limits: MediaLimits) -> None:
        """Probe `file` and take it over: one frame is decoded, for its rotation and colours.

        Raises UnsupportedMedia, DamagedMedia or MediaTooLarge.
        """
        self.limits = limits
        self.opens = 0
        self._file = file
        self._media_type = sniff_video(file)
        # What the probe has consumed, to check that a rewind leads back to it.
        self._probed: list[_Place] = []
        self._reading_thread: int | None = None
        self._container, self._main = self._open()

        try:
            with translating_damage():
                frame, first_dts = self._first_frame()
                self.info: VideoInfo = describe(
                    self._media_type, self._container, self.stream, frame, first_dts
                )
        except BaseException:
            self._container.close()
            raise

    @classmethod
    def open(cls, path: Path, limits: MediaLimits) -> Video:
        """Open and probe the file at `path`; raises as the constructor does."""
        file = path.open("rb")
        try:
            return cls(file, limits)
        except BaseException:
            file.close()
            raise

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *_: object) -> None:
        # A stage that did not stop in time may still read; closing under it would crash. Its
        # thread holds the file then, and lets go of it at its end.
        if self._reading_thread in (None, get_ident()):
            self._container.close()
            self._file.close()

    @property
    def container(self) -> InputContainer:
        """The opened file, for what is said about its tracks; read packets by `packets`."""
        return self._container

    @property
    def stream(self) -> VideoStream:
        """The video stream to swap."""
        return self._container.streams.video[self._main]

    def packets(
        self, tracks: Sequence[int] | None = None, *, since: int | None = None
    ) -> Generator[Packet[Any], None, None]:
        """Return the packets of the streams with the indices `tracks` (default: of the main video
        stream), from the start or from the key frame before time `since` of that stream.

        Reading them may raise FFmpeg's errors.
        """
        if since is None:
            read = self._from_start()
        else:
            with translating_damage():
                self._container.seek(since, stream=self.stream)
            read = self._container.demux()

        return self._read(read, {self.stream.index} if tracks is None else set(tracks))

    def _read(
        self, packets: Iterator[Packet[Any]], tracks: Set[int]
    ) -> Generator[Packet[Any], None, None]:
        self._reading_thread = get_ident()
        try:
            # By its stream, not its index: the empty packets that end a demuxing carry none.
            for packet in packets:
                if packet.stream.index in tracks:
                    require_cheap(packet)
                    yield packet
        finally:
            self._reading_thread = None

    def _open(self) -> tuple[InputContainer, int]:
        self.opens += 1
        container, stream = open_container(self._file, self._media_type, self.limits)
        # One thread: swapping is what takes the time, and frame threads hold more frames.
        stream.codec_context.thread_count = 1
        return container, container.streams.video.index(stream)

    def _first_frame(self) -> tuple[VideoFrame, int | None]:
        error: Exception | None = None
        first_dts: int | None = None
        tried = 0  # of the main stream; it may lie among many of others

        for packet in self._container.demux():
            self._probed.append(_place(packet))
            if packet.stream.index != self.stream.index:
                continue

            first_dts = packet.dts if first_dts is None else first_dts
            require_cheap(packet)
            try:
                for frame in packet.decode():
                    return cast("VideoFrame", frame), first_dts
            except av.FFmpegError as failure:
                error = failure

            tried += 1
            if tried > MAX_PROBED_PACKETS:
                break

        raise DamagedMedia("no frame of the video can be decoded") from error

    def _from_start(self) -> Iterator[Packet[Any]]:
        """Rewind, and make sure of it by the packets that the probe read: MPEG-TS, for one, does
        not find back to all of them.
        """
        track, first_dts, *_ = self._probed[0]
        with suppress(av.FFmpegError):
            self._container.seek(first_dts or 0, stream=self._container.streams[track])
            packets = self._container.demux()
            first = list(islice(packets, len(self._probed)))

            if [_place(packet) for packet in first] == self._probed:
                return chain(first, packets)

        self._container.close()
        self._container, self._main = self._open()
        return self._container.demux()


def require_cheap(packet: Packet[Any]) -> None:
    """Raise DamagedMedia for a packet that takes far longer to decode than its size says."""
    coding = packet.stream.codec_context  # None: of an unknown coding, which nobody decodes
    if packet.size and coding is not None and coding.name == "mjpeg":
        require_few_scans([bytes(packet)], images=2)  # the two fields of an interlaced frame


def _place(packet: Packet[Any]) -> _Place:
    return packet.stream.index, packet.dts, packet.pos, packet.size
