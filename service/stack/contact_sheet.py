"""The demo's contact sheet: before, source and after side by side, for a portrait and moments of a
video.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from PIL import Image, ImageDraw, ImageFont, ImageOps

# Three columns fit the width of a README.
CELL_PX = (400, 400)
GAP_PX = 8
HEADER_PX = 36
TITLES = ("before", "source", "after")


@dataclass(frozen=True)
class Comparison:
    """One row of the sheet."""

    label: str
    before: Image.Image
    source: Image.Image
    after: Image.Image


def video_moments(path: Path, moments: Sequence[float]) -> list[Image.Image]:
    """Return the frames at these fractions (0 first, 1 last) of a video short enough to hold in
    memory.
    """
    with av.open(path) as video:
        # All at once: the demo's video has some hundred small frames.
        frames = list(video.decode(video=0))

    chosen = (frames[round(moment * (len(frames) - 1))] for moment in moments)
    return [Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in chosen]


def contact_sheet(rows: Sequence[Comparison]) -> Image.Image:
    """Draw one row per comparison under the titles before, source and after."""
    width = CELL_PX[0] + GAP_PX
    height = CELL_PX[1] + GAP_PX
    sheet = Image.new("RGB", (GAP_PX + 3 * width, HEADER_PX + len(rows) * height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=20)

    for column, title in enumerate(TITLES):
        # White with a black edge is readable on any image.
        draw.text((GAP_PX + column * width, 6), title, "black", font)

    for number, row in enumerate(rows):
        top = HEADER_PX + number * height
        for column, image in enumerate((row.before, row.source, row.after)):
            sheet.paste(ImageOps.fit(image, CELL_PX), (GAP_PX + column * width, top))

        draw.text(
            (GAP_PX + 8, top + 6), row.label, "white", font, stroke_width=2, stroke_fill="black"
        )

    return sheet
