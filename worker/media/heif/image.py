"""HEIC for Pillow: an image whose header is the file's index, and whose pixels FFmpeg decodes.

Registered with Pillow by being imported. docs/decisions/0020-heic-by-ffmpeg.md says why it is ours.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final, cast

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image, ImageFile

from worker.media.heif.photo import Colours, HeifPhoto, Tile
from worker.media.media_errors import DamagedMedia

_ORIENTATION: Final = 0x0112
_FLIPS: Final = {0: Image.Transpose.FLIP_TOP_BOTTOM, 1: Image.Transpose.FLIP_LEFT_RIGHT}
# Of photos that say nothing: BT.601 in full range, as JPEG, which is what HEIF prescribes.
_DEFAULT_MATRIX: Final = 6
_UNSPECIFIED: Final = 2
# A decoder's frames are whole coding blocks: up to 64 px more than is shown, on each side.
_BLOCK_PX: Final = 64


class HeifImageFile(ImageFile.ImageFile):
    """A photo of a phone; `reduce_by` 1, 2 or 4 makes it smaller while it is decoded."""

    format = "HEIF"
    format_description = "High Efficiency Image File Format"

    def _open(self) -> None:
        # By Pillow's convention: it sets what the header says, and decodes nothing.
        self._photo = HeifPhoto(cast(Any, self.fp))
        self._size = self._photo.size
        self._mode = "RGB"
        self._reduce_by = 1
        self._exif_block = b""

        if profile := self._photo.colours.icc_profile:
            self.info["icc_profile"] = profile
        with suppress(DamagedMedia):
            self._exif_block = self._photo.exif()

    def getexif(self) -> Image.Exif:
        """Return the EXIF without its orientation: the container has turned the photo already."""
        exif = Image.Exif()
        with suppress(ValueError, SyntaxError, OSError, KeyError):
            exif.load(self._exif_block)
        exif.pop(_ORIENTATION, None)
        return exif

    def shrink(self, factor: int) -> None:
        """Have the photo decoded at a half or a quarter of its size; call it before `load`."""
        width, height = self._photo.size
        self._reduce_by = factor
        self._size = (-(-width // factor), -(-height // factor))

    def load(self) -> Any:  # noqa: ANN401 - Pillow's own
        """Decode the tiles, once."""
        if self.fp is not None and not getattr(self, "_is_loaded", False):
            pixels = _decoded(self._photo, self._reduce_by)
            image = Image.fromarray(pixels)
            if self._photo.turns:
                image = image.rotate(90 * self._photo.turns, expand=True)
            if self._photo.mirror is not None:
                image = image.transpose(_FLIPS[self._photo.mirror])

            self._size = image.size
            self.im = image.im
            self._is_loaded = True

        return Image.Image.load(self)


def _decoded(photo: HeifPhoto, factor: int) -> NDArray[np.uint8]:
    """Return the photo's RGB pixels [H, W, 3], not turned yet, at 1/`factor` of its size."""
    height, width = -(-photo.height // factor), -(-photo.width // factor)
    canvas = np.zeros((height, width, 3), np.uint8)
    left = top = 0
    row_height = 0

    for number, tile in enumerate(photo.tiles()):
        if number and number % photo.columns == 0:
            left = 0
            top += row_height

        pixels = _rgb(_frame(tile), tile, photo.colours, factor)
        part = pixels[: max(0, height - top), : max(0, width - left)]
        canvas[top : top + part.shape[0], left : left + part.shape[1]] = part
        left += pixels.shape[1]
        row_height = pixels.shape[0]

    # A grid is covered by its tiles; one that is not would show what nobody sent.
    if top + row_height < height or left < width:
        raise DamagedMedia("the photo's tiles do not cover it")

    return canvas


def _frame(tile: Tile) -> VideoFrame:
    decoder = av.CodecContext.create("hevc", "r")
    decoder.extradata = tile.config
    # One image: more threads would only hold copies of it.
    decoder.thread_count = 1
    # The coded data may say another size than the index, and is allocated as it says.
    most = (tile.width + 2 * _BLOCK_PX) * (tile.height + 2 * _BLOCK_PX)
    decoder.options = {"max_pixels": str(most)}

    try:
        frames = [*decoder.decode(av.Packet(tile.data)), *decoder.decode(None)]
    except av.FFmpegError as error:
        raise DamagedMedia("a part of the photo is damaged") from error
    if not frames or frames[0].width < tile.width or frames[0].height < tile.height:
        raise DamagedMedia("a part of the photo is damaged")

    return frames[0]


def _rgb(frame: VideoFrame, tile: Tile, colours: Colours, factor: int) -> NDArray[np.uint8]:
    """Return a tile's pixels; its colours are the container's, else its own, else the default."""
    own = int(frame.colorspace)
    matrix = colours.matrix or (own if own != _UNSPECIFIED else _DEFAULT_MATRIX)
    is_full = colours.full_range if colours.full_range is not None else frame.color_range != 1
    converted = frame.reformat(
        width=-(-frame.width // factor),
        height=-(-frame.height // factor),
        format="rgb24",
        src_colorspace=_swscale_matrix(matrix),
        src_color_range=2 if is_full else 1,
        dst_color_range=2,
        interpolation="AREA" if factor > 1 else "BICUBIC",
    )
    pixels = converted.to_ndarray()
    return pixels[: -(-tile.height // factor), : -(-tile.width // factor)].astype(np.uint8)


def _swscale_matrix(matrix: int) -> int:
    """Return swscale's number of a matrix of H.273: BT.709, BT.2020, or BT.601 for all others."""
    return {1: 1, 9: 9, 10: 9}.get(matrix, 5)


def _accepts(head: bytes) -> bool:
    return head[4:8] == b"ftyp"


Image.register_open(HeifImageFile.format, cast(Any, HeifImageFile), _accepts)
