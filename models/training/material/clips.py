"""Faces that move: frames of clips, as a networks' material that portraits are not.

Run as `python -m models.training.material.clips` before the faces are prepared: it writes crop
files into `var/training/clips`. Frames of one clip count as photos of one person, so that a
texture of one is asked to become another, whose expression it cannot know.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

from models.inference.arrays import Landmarks, RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.alignment import align
from models.inference.frames.affine import compose
from models.inference.frames.image_frame import ImageFrame
from models.packs.store import load_pack
from models.training.dataset import CANVAS, MARGIN, shared_folder, warp

# Clips of one person in which nothing is ever in front of the face; the others are for measuring.
OPEN_CLIPS = ("again", "night", "no", "sorry", "walk", "want", "student")
EVERY = 6  # frames
FRAMES_PER_S = 30.0  # where a clip does not say
WITH_MARGIN = np.array([[1.0, 0, MARGIN], [0, 1.0, MARGIN]])


def faces_of(
    engine: FaceSwapEngine, clip: Path, every: int
) -> Iterator[tuple[RgbImage, Landmarks]]:
    """Yield every `every`-th frame of a clip as RGB, with the mesh of its first face."""
    tracker = engine.tracker()
    with av.open(str(clip)) as container:
        rate = float(container.streams.video[0].average_rate or FRAMES_PER_S)
        for index, frame in enumerate(container.decode(video=0)):
            bgr = np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
            found = tracker.update(ImageFrame(bgr), index / rate)

            if found and index % every == 0:
                yield np.ascontiguousarray(bgr[..., ::-1]), found[0].face.landmarks


def clip_of(name: str) -> Path:
    """Return the file of a clip in the shared material."""
    return shared_folder() / "films" / f"asl_{name}.mkv"


def extract(engine: FaceSwapEngine, folder: Path) -> None:
    """Write frames of the open clips as crop files of 288 px."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in OPEN_CLIPS:
        for index, (image, mesh) in enumerate(faces_of(engine, clip_of(name), EVERY)):
            crop = warp(image, compose(WITH_MARGIN, align(mesh, "similarity")), CANVAS)
            path = folder / f"{name}_{index:03d}.png"
            cv2.imwrite(str(path), cv2.cvtColor(crop, cv2.COLOR_RGB2BGR))


def main() -> None:
    """Extract the frames from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packs", type=Path, default=Path("var/packs"))
    parser.add_argument("--out", type=Path, default=Path("var/training/clips"))
    chosen = parser.parse_args()
    extract(FaceSwapEngine.load(load_pack("open", chosen.packs), device="cpu"), chosen.out)


if __name__ == "__main__":
    main()
