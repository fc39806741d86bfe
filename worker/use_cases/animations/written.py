"""What an animation's frames become: an animation again, or a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from worker.contract.options import OutputOptions
from worker.formats import (
    ANIMATION_FORMATS,
    MEDIA_TYPES,
    VIDEO_FORMATS,
    AnimationFormat,
    OutputFormat,
)
from worker.media.animation import AnimatedFrame, paced, write_animation
from worker.media.media_errors import UnsupportedMedia
from worker.provenance.marking import Marking
from worker.video.muxing.animation import write_video
from worker.video.output import output_settings
from worker.video.segments import OutputSettings

# WebP's usual one; an animation has hundreds of frames.
DEFAULT_QUALITY: Final = 80


@dataclass(frozen=True)
class WrittenFile:
    """A finished file: its type, its size in pixels, and what had to be changed."""

    media_type: str
    width: int
    height: int
    frames: int
    notes: tuple[str, ...]


class Writer(Protocol):
    """Writes marked frames as one kind of file."""

    @property
    def suffix(self) -> str:
        """The file's extension, with its dot."""

    def write(
        self, path: Path, frames: Sequence[AnimatedFrame], marking: Marking | None
    ) -> WrittenFile:
        """Write the file; raises UnsupportedMedia."""


@dataclass(frozen=True)
class AsAnimation:
    """GIF, WebP or APNG that plays `loop` times, 0 for ever, None once."""

    format: AnimationFormat
    loop: int | None
    quality: int

    @property
    def suffix(self) -> str:
        return f".{self.format}"

    def write(
        self, path: Path, frames: Sequence[AnimatedFrame], marking: Marking | None
    ) -> WrittenFile:
        """Mark and write the frames, at a rate that browsers keep."""
        if marking is not None:
            for frame in frames:
                marking.mark_image(frame.bgr, frame.time_s)

        shown = paced(frames, self.format)
        write_animation(path, self.format, shown, loop=self.loop, quality=self.quality)
        # Said in the report: the client sees fewer frames than it sent.
        left_out = len(frames) - len(shown)
        note = f"frames_left_out_that_browsers_would_slow_down:{left_out}"
        height, width = frames[0].bgr.shape[:2]

        return WrittenFile(
            media_type=MEDIA_TYPES[self.format],
            width=width,
            height=height,
            frames=len(shown),
            notes=(note,) if left_out else (),
        )


@dataclass(frozen=True)
class AsVideo:
    """A video without sound, which plays once."""

    settings: OutputSettings

    @property
    def suffix(self) -> str:
        return f".{self.settings.format}"

    def write(
        self, path: Path, frames: Sequence[AnimatedFrame], marking: Marking | None
    ) -> WrittenFile:
        """Write the frames; the encoder marks them, on the pixels that it encodes."""
        settings = self.settings
        width, height = write_video(path, frames, settings.format, settings.encoder, marking)
        # Videos have no alpha; who sent a transparent animation must learn that it is lost.
        was_opaque = all(frame.alpha is None or frame.alpha.min() == 255 for frame in frames)

        return WrittenFile(
            media_type=MEDIA_TYPES[settings.format],
            width=width,
            height=height,
            frames=len(frames),
            notes=() if was_opaque else ("alpha_dropped",),
        )


def writer_of(output: OutputOptions, file_format: str, loop: int | None) -> Writer:
    """Return what writes frames as `file_format`, an animation's or a video's.

    Raises UnsupportedMedia for a single image's, and for a codec that the format cannot hold.
    """
    animation = as_animation_format(file_format)
    if animation is not None:
        return AsAnimation(animation, loop, output.quality or DEFAULT_QUALITY)
    if file_format in VIDEO_FORMATS:
        return AsVideo(output_settings(output, "drop", MEDIA_TYPES[file_format]))

    raise UnsupportedMedia(
        f"an animation is written as {', '.join((*ANIMATION_FORMATS, *VIDEO_FORMATS))},"
        f" not as {file_format}"
    )


def as_animation_format(file_format: OutputFormat | str | None) -> AnimationFormat | None:
    """Return the format if it is an animation's, else None."""
    return next((name for name in ANIMATION_FORMATS if name == file_format), None)
