"""Draws a swapped video frame by frame, target above result, to be looked at.

`python -m benchmarks.realism.strip VIDEO OUT.png [--step 3]`; `VIDEO` is the name of a measured
video, with `.1`, `.2` for its other swaps. `images OUT.png --pairs 52` draws images: source,
target, result. The drawings show real people and stay on the measuring machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks.realism.material import faces
from benchmarks.realism.swapped_images import swapped_images
from benchmarks.realism.swapped_videos import swapped_videos
from models.inference.arrays import RgbImage

TILE_PX = 200
COLUMNS = 10


def strip(name: str, step: int) -> RgbImage:
    """Return the strip of one swapped video."""
    video = next(one for one in swapped_videos() if one.name == name)
    chosen = range(0, len(video.frames), step)
    columns = [
        np.vstack([_tile(video.heads[i], str(video.frames[i])), _tile(video.new_heads[i])])
        for i in chosen
    ]

    return _grid(columns, COLUMNS)


def sheet(pairs: int) -> RgbImage:
    """Return a sheet of swapped images: source, target, result, four triples a row."""
    swaps = swapped_images()
    # Spread over all pairs, since neighbours share a source.
    chosen = np.linspace(0, len(swaps) - 1, pairs).astype(int)
    triples = [
        np.hstack(
            [
                _tile(faces().crops[swaps[i].pair.source], str(i)),
                _tile(swaps[i].before),
                _tile(swaps[i].after),
            ]
        )
        for i in chosen
    ]

    return _grid(triples, 4)


def _tile(image: RgbImage, label: str = "") -> RgbImage:
    height = round(image.shape[0] * TILE_PX / image.shape[1])
    tile = cv2.resize(image, (TILE_PX, height), interpolation=cv2.INTER_CUBIC)
    cv2.putText(tile, label, (3, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 0), 1)
    return np.asarray(tile, np.uint8)


def _grid(tiles: list[RgbImage], columns: int) -> RgbImage:
    blank = np.zeros_like(tiles[0])
    tiles = tiles + [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    return np.asarray(np.vstack(rows), np.uint8)


def main() -> None:
    """Draw from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("video", help="a measured video, or `images`")
    parser.add_argument("out", type=Path)
    parser.add_argument("--step", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=52)
    asked = parser.parse_args()
    drawn = sheet(asked.pairs) if asked.video == "images" else strip(asked.video, asked.step)
    cv2.imwrite(str(asked.out), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
