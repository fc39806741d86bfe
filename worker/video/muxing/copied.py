"""The tracks of the source that swapping does not touch: audio, subtitles, chapters, metadata.

Packets are copied. Only sound that the output's format cannot hold is encoded again, and the report
says so. A cover is left out: it shows faces as they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final, Literal

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Disposition, Stream

from worker.video.muxing.audio import ConvertedSound, is_convertible
from worker.video.video import Video

# Which tracks go into the output: copied where they can be, sound encoded again, or none.
Tracks = Literal["copy", "sound", "none"]

# Containers that count time from wherever the broadcast happened to be; the others mean what they
# say.
_BROADCAST: Final = {"mpegts", "mpeg"}
_WRITTEN_BY_MUXERS: Final = {"major_brand", "minor_version", "compatible_brands", "encoder"}


class CopiedTracks:
    """Copies packets of the source into a result, a stretch at a time.

    `copied` and `notes` say what became of them.
    """

    def __init__(self, video: Video) -> None:
        # Before its streams are looked at: a video that cannot be rewound is opened again here.
        main = video.stream.index
        others = [stream.index for stream in video.container.streams if stream.index != main]
        self._packets: Iterator[Packet[Any]] = video.packets(others) if others else iter(())
        self._source = container = video.container
        self._main = video.stream
        self._targets: dict[int, Stream] = {}
        self._converted: dict[int, ConvertedSound] = {}
        self._last_dts: dict[int, int] = {}
        self._waiting: Packet[Any] | None = None
        self.copied: list[str] = []
        self.notes: list[str] = []
        self.origin_s = (
            Fraction(container.start_time or 0, 1_000_000) if self._is_broadcast else Fraction(0)
        )

        # Said in the report: subtitles and chapters of other files may refer to the old times.
        if self.origin_s:
            self.notes.append("timestamps_moved_to_start_at_0")

    @property
    def _is_broadcast(self) -> bool:
        return self._source.format.name in _BROADCAST

    @property
    def origin(self) -> int:
        """The source's time, in the main stream's units, that the result shows as 0."""
        return round(self.origin_s / (self._main.time_base or 1))

    def prepare(
        self,
        result: OutputContainer,
        *,
        audio: Literal["copy", "drop"],
        tracks: Tracks,
    ) -> None:
        """Add to `result` a track for each of the source's that it can hold, its chapters and
        its metadata. With `tracks` "sound" all sound is encoded again and the rest left out.
        """
        # Titles and dates stay; what a muxer writes about itself would contradict the new file.
        result.metadata.update(
            {k: v for k, v in self._source.metadata.items() if k not in _WRITTEN_BY_MUXERS}
        )
        self._drop_location(result)
        result.set_chapters(self._source.chapters())

        for stream in self._source.streams:
            if stream.index == self._main.index:
                continue
            if stream.type == "audio" and audio == "drop":
                self.notes.append("audio_dropped_as_asked")
            elif tracks == "none":
                self.notes.append(_left_out(stream))
            elif tracks == "copy" and self._holds(result, stream):
                self._add(result, stream)
            elif isinstance(stream, AudioStream) and is_convertible(result.format.name, stream):
                self._convert(result, stream)
            elif not self._is_chapter_track(stream):
                self.notes.append(_left_out(stream))

        # Nothing is copied, so reading the file a second time can be spared.
        if not (self._targets or self._converted):
            self._packets = iter(())

    def _drop_location(self, result: OutputContainer) -> None:
        """Where a video was taken is no business of whoever gets the result, as in images."""
        places = [name for name in result.metadata if "location" in name.lower()]
        for name in places:
            del result.metadata[name]

        if places:
            self.notes.append("location_dropped")

    def mux_until(self, result: OutputContainer, time_s: float) -> None:
        """Copy all packets that are due up to `time_s` of the result.

        What is unreadable ends the copying with a note.
        """
        while (packet := self._next()) is not None:
            if float((packet.dts or 0) * packet.time_base - self.origin_s) > time_s:
                self._waiting = packet
                return
            self._mux(result, packet)

    def finish(self, result: OutputContainer) -> None:
        """Copy what is left."""
        self.mux_until(result, float("inf"))
        for sound in self._converted.values():
            result.mux(list(sound.convert(None)))

    def _next(self) -> Packet[Any] | None:
        if (waiting := self._waiting) is not None:
            self._waiting = None
            return waiting

        try:
            for packet in self._packets:
                if not self._is_wanted(packet):
                    continue
                if packet.size and packet.dts is not None:
                    return packet
        except av.FFmpegError:
            self.notes.append("other_tracks_end_at_damage")
            self._packets = iter(())

        return None

    def _is_wanted(self, packet: Packet[Any]) -> bool:
        index = packet.stream.index
        return index in self._targets or index in self._converted

    def _mux(self, result: OutputContainer, packet: Packet[Any]) -> None:
        index = packet.stream_index
        if index in self._converted:
            result.mux(list(self._converted[index].convert(packet)))
            return

        shift = round(self.origin_s / packet.time_base)
        packet.dts = (packet.dts or 0) - shift
        packet.pts = None if packet.pts is None else packet.pts - shift

        if packet.dts <= self._last_dts.get(index, packet.dts - 1):
            return  # out of order in a damaged file: muxers refuse it

        self._last_dts[index] = packet.dts
        packet.stream = self._targets[index]
        result.mux(packet)

    def _holds(self, result: OutputContainer, stream: Stream) -> bool:
        if stream.type == "attachment":
            return result.format.name == "matroska"
        return stream.type in {"audio", "subtitle"} and _codec(stream) in result.supported_codecs

    def _add(self, result: OutputContainer, stream: Stream) -> None:
        target = result.add_stream_from_template(stream)
        target.metadata.update(stream.metadata)
        target.disposition = Disposition(stream.disposition)
        self._targets[stream.index] = target
        self.copied.append(f"{stream.type}:{_codec(stream)}")

    def _convert(self, result: OutputContainer, stream: AudioStream) -> None:
        sound = ConvertedSound(result, stream, self.origin_s)
        sound.target.metadata.update(stream.metadata)
        self._converted[stream.index] = sound
        self.notes.append(sound.note)

    def _is_chapter_track(self, stream: Stream) -> bool:
        # QuickTime keeps chapter titles in a track of their own, which the muxer writes again from
        # the chapters
        return (
            stream.type == "data"
            and bool(self._source.chapters())
            and _codec(stream) in {"bin_data", "none"}
        )


def _left_out(stream: Stream) -> str:
    if stream.disposition & Disposition.attached_pic:
        return "cover_left_out"
    return f"{stream.type}_track_left_out:{_codec(stream)}"


def _codec(stream: Stream) -> str:
    """Return the codec's name; "unknown" for one that FFmpeg does not know, as Apple's APAC."""
    if stream.codec_context is not None:
        return stream.codec_context.name
    return getattr(stream, "name", None) or "unknown"
