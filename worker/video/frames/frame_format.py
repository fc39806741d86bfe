"""What all frames of an output have in common: a size, with square pixels, and colours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from models.inference.frames.i420 import Matrix
from worker.video.frames.tone_map import SDR, is_wide
from worker.video.probe import UNSPECIFIED, ColourTags, VideoInfo

CONVERTED_MATRICES = {0, 8, 9, 10}  # RGB, YCgCo, BT.2020: encoded as BT.709
_BT601_MATRICES = {5, 6}
_TAGS: dict[Matrix, ColourTags] = {
    "bt709": SDR,
    "bt601": ColourTags(matrix=6, primaries=6, transfer=6),
}
# Faces are found and painted in squares: on pixels further from that they would come out too wide.
# Off by less, nobody sees it.
_NEARLY_SQUARE = Fraction(3, 100)
# No format that is in use is beyond this: a header that says more is not believed.
_MOST_ASPECT = 3


@dataclass(frozen=True)
class FrameFormat:
    """What all frames of the output have in common.

    Both sides are even, as 4:2:0 encoders want them.
    """

    width: int
    height: int
    fps: Fraction
    time_base: Fraction
    pixel_aspect: Fraction
    colour: ColourTags

    @classmethod
    def of(cls, info: VideoInfo, max_side: int | None) -> FrameFormat:
        """Return the source's format with square pixels, scaled to `max_side` where it is larger.

        RGB and BT.2020 colours become BT.709.
        """
        width, height = fitted_size(*square_size(info), max_side)
        aspect = Fraction(1) if is_squared(info) else info.pixel_aspect
        colour = info.colour

        if is_wide(colour) or colour.matrix in CONVERTED_MATRICES:
            colour = SDR
        elif assumed_matrix(colour, width, height) != source_matrix(info):
            # Players would take the untagged output for another matrix than the source.
            colour = replace(_TAGS[source_matrix(info)], full_range=colour.full_range)

        return cls(width, height, info.fps, info.time_base, aspect, colour)


def square_size(info: VideoInfo) -> tuple[int, int]:
    """Return the width and height that a video has with square pixels: no side gets shorter."""
    if not is_squared(info):
        return info.width, info.height
    if info.pixel_aspect > 1:
        return round(info.width * info.pixel_aspect / 2) * 2, info.height
    return info.width, round(info.height / info.pixel_aspect / 2) * 2


def is_squared(info: VideoInfo) -> bool:
    """Return whether the output has square pixels where the source has not."""
    longer = max(info.pixel_aspect, 1 / info.pixel_aspect) if info.pixel_aspect > 0 else Fraction(1)
    return 1 + _NEARLY_SQUARE < longer <= _MOST_ASPECT


def fitted_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Return an even width and height of the same shape, the longer side at most `max_side`."""
    scale = min(1.0, (max_side or max(width, height)) / max(width, height))
    if scale == 1.0:
        return width + width % 2, height + height % 2
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def source_matrix(info: VideoInfo) -> Matrix:
    """Return the matrix of the source's colours, by its tags or else as players assume it."""
    width, height = info.orientation.size(info.width, info.height)  # as it is coded
    return assumed_matrix(info.colour, width, height)


def assumed_matrix(colour: ColourTags, width: int, height: int) -> Matrix:
    """Return the matrix that players use for a video of these tags and pixels."""
    if colour.matrix == UNSPECIFIED:
        return "bt709" if height > 576 or width >= 1280 else "bt601"  # HD is BT.709, as in mpv
    return "bt601" if colour.matrix in _BT601_MATRICES else "bt709"
