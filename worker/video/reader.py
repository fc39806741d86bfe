"""Decoding: the frames of one span of a video, prepared, in order, each with its own time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import av
from av.packet import Packet
from av.video.frame import VideoFrame

from worker.media.media_errors import DamagedMedia
from worker.video.frames.planes import FramePreparer
from worker.video.video import Video

MAX_BROKEN_PACKETS: Final = 250  # ten seconds: a file that is worse is given up there


@dataclass(frozen=True)
class Span:
    """Frames with `start` <= pts < `stop`, and up to `warm_up` units of time before them that are
    only looked at.

    Decoding begins at the key frame at `read_from` or before. In units of the stream's time base;
    None reaches to the end of the video on that side.
    """

    start: int | None = None
    stop: int | None = None
    warm_up: int = 0
    read_from: int | None = None

    @property
    def first_seen(self) -> int | None:
        return None if self.start is None else self.start - self.warm_up

    @property
    def since(self) -> int | None:
        """Return where to seek to."""
        if self.first_seen is None or self.read_from is None:
            return None
        return min(self.read_from, self.first_seen)


@dataclass(frozen=True)
class SourceFrame:
    """A prepared frame; one that is not `shown` only warms the tracker up."""

    image: VideoFrame
    time_s: float
    shown: bool


@dataclass
class Damage:
    """What could not be read: counts of packets and frames, and whether the file ends before it
    says.
    """

    broken_packets: int = 0
    patched_frames: int = 0
    repaired_times: int = 0
    truncated: bool = False

    def notes(self) -> list[str]:
        """Stable words for the job's report."""
        counts = {
            "damaged_packets_skipped": self.broken_packets,
            "damaged_frames_patched": self.patched_frames,
            "timestamps_repaired": self.repaired_times,
        }
        return [f"{name}:{count}" for name, count in counts.items() if count] + [
            "truncated"
        ] * self.truncated


@dataclass
class VideoReader:
    """Reads spans of one video. `damage` is complete when the frames have been read to the end.

    `decoded` "referenced" leaves out the frames on which no other depends; of the decoded ones only
    those that are `chosen` are prepared and come out.
    """

    video: Video
    preparer: FramePreparer
    decoded: Literal["all", "referenced"] = "all"
    chosen: Callable[[VideoFrame], bool] = lambda _frame: True
    damage: Damage = field(default_factory=Damage)
    _decoding_times: deque[int] = field(default_factory=deque, init=False)
    _first_time: int | None = field(default=None, init=False)

    def frames(self, span: Span) -> Generator[SourceFrame, None, None]:
        """Yield the span's frames, prepared.

        Raises DamagedMedia when not one can be decoded at the video's start.
        """
        any_frame = False
        self._decoding_times.clear()
        self._first_time = None

        with closing(self.video.packets(since=span.since)) as packets:
            for frame in self._timed(packets):
                pts = frame.pts or 0
                # Frames come in showing order, so none of the span follows.
                if span.stop is not None and pts >= span.stop:
                    return
                if span.first_seen is None or pts >= span.first_seen:
                    any_frame = True
                    if not self.chosen(frame):
                        continue

                    yield SourceFrame(
                        image=self.preparer.prepare(frame),
                        time_s=float(pts * (frame.time_base or 0)),
                        shown=span.start is None or pts >= span.start,
                    )

        if not any_frame and span.start is None:
            raise DamagedMedia("no frame of the video can be decoded")

    def _timed(self, packets: Iterator[Packet[Any]]) -> Iterator[VideoFrame]:
        """Yield decoded frames whose pts strictly rises.

        A frame without a time is shown one frame after the one before. In a stream without showing
        times the frames, which come out in showing order, take the decoding times in their order.
        """
        info = self.video.info
        step = max(1, round(1 / info.fps / info.time_base))
        last: int | None = None

        for frame in self._decoded(packets):
            if not info.has_showing_times:
                frame.pts = self._decoding_times.popleft() if self._decoding_times else None

            pts = frame.pts
            if pts is None:
                self.damage.repaired_times += 1
                pts = (self._first_time or 0) if last is None else last + step

            # Encoders and muxers refuse a time that does not rise.
            if last is not None and pts <= last:
                self.damage.repaired_times += 1
                pts = last + 1

            frame.pts = last = pts
            self.damage.patched_frames += frame.is_corrupt
            yield frame

    def _decoded(self, packets: Iterator[Packet[Any]]) -> Iterator[VideoFrame]:
        """Yield all frames that come out, broken packets skipped: a damaged stretch costs itself
        and no more.
        """
        # The decoder is that of the pass before.
        context = self.video.stream.codec_context
        context.skip_frame = "NONREF" if self.decoded == "referenced" else "DEFAULT"

        while self.damage.broken_packets < MAX_BROKEN_PACKETS:
            try:
                packet = next(packets)
                self._note_time(packet)
                yield from packet.decode()
            except StopIteration:
                return
            except av.EOFError:
                return
            except av.FFmpegError:
                self.damage.broken_packets += 1
                if self._decoding_times:
                    self._decoding_times.pop()  # no frame comes of this packet

    def _note_time(self, packet: Packet[Any]) -> None:
        """Keep what frames without a time of their own are timed by."""
        if packet.size and packet.dts is not None:
            if self._first_time is None:
                self._first_time = packet.pts if packet.pts is not None else packet.dts
            if not self.video.info.has_showing_times:
                self._decoding_times.append(packet.dts)
