"""What realism is measured on: real videos and evaluation people, and what was seen in them by eye.

The material lies outside the repository (`LIKENESS_SHARED`, or `shared` beside the checkout) and is
only measured. `REALISM_QUICK=1` takes a few videos and pairs, for development;
`REALISM_BYPASS=1` shows the placed texture in place of the network's output.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.errors import InferenceError
from models.inference.painting.face_painter import Identity
from models.inference.painting.face_swapper import FaceSwapper
from models.packs.store import Pack, load_pack
from models.training.dataset import FaceSet, shared_folder
from models.training.evaluation.evaluate import Evaluation
from models.training.evaluation.evaluate_pack import evaluation_of, photograph
from tests.material import PACKS, ROOT

FOLDER = ROOT / "var" / "realism"
QUICK = os.environ.get("REALISM_QUICK") == "1"
BYPASS = os.environ.get("REALISM_BYPASS") == "1"
TARGETS = 1 if QUICK else 3  # of each of the 95 sources
QUICK_VIDEOS = ("asl_again", "asl_bird", "asl_walk", "asl_want", "head_pose_male")

# Frames in which a hand lies over the face, first and last, and videos in which nothing ever does;
# looked up frame by frame. What is named in neither is not certain enough to count.
COVERED = {
    "asl_bird": (14, 40),
    "asl_brother": (16, 23),
    "asl_eat": (17, 29),
    "asl_help": (27, 40),
    "asl_thanks": (13, 22),
}
# And beside it: a finger along the jaw, fingertips below the chin. Nothing of the inner face is
# covered, so there is nothing to keep.
BESIDE = {"asl_sister": (25, 35), "asl_thanks": (23, 25)}
CLEAR = (
    *("asl_again", "asl_hungry", "asl_milk", "asl_night", "asl_no", "asl_please"),
    *("asl_sorry", "asl_walk", "asl_want", "asl_yes", "head_pose_male"),
)
# Videos with blinks (looked up by eye) are swapped to several people each: they are few.
BLINKING = ("asl_brother", "asl_eat", "asl_no", "asl_walk", "asl_yes", "head_pose_female-and-male")
BLINKING_SOURCES = 1 if QUICK else 4
# Evaluation people by their place among `Evaluation.people`, looked up by eye.
BEARDED = (3, 6, 22, 43, 46, 48, 63, 67, 69, 82, 85, 86, 91)
WITH_GLASSES = (3, 15, 17, 22, 24, 33, 37, 40, 48, 57, 59, 60, 63, 65, 67, 71, 79)
WITH_FRINGE = (1, 5, 10, 27, 56, 80)
# Those whose hair lies over the forehead and is so dark that colour tells it from skin.
WITH_DARK_FRINGE = (56, 65, 80)


class Bypass(FaceSwapper):
    """Shows the placed texture as it is, in the mesh's own mask: what the network has to beat."""

    def swap(self, _target: RgbImage, texture: RgbImage | None) -> tuple[RgbImage, None]:
        assert texture is not None
        return texture, None


@cache
def pack() -> Pack:
    return load_pack("open", PACKS)


@cache
def engine() -> FaceSwapEngine:
    # The result must not depend on how many cores the machine has.
    cv2.setNumThreads(1)
    # Eight: few enough for memory, and the sources come one after the other.
    return FaceSwapEngine.load(pack(), device="cpu", max_sessions=8)


@cache
def evaluation() -> Evaluation:
    """Return the evaluation people and the pairs that are swapped."""
    return evaluation_of(pack(), ROOT / "var" / "training", TARGETS)


@cache
def videos() -> dict[str, Path]:
    """Return the measured videos by name."""
    folder = shared_folder() / "films"
    paths = sorted([*folder.glob("*.mkv"), *folder.glob("*.gif")])
    return {path.stem: path for path in paths if not QUICK or path.stem in QUICK_VIDEOS}


def rate_of(path: Path) -> float:
    """Return the frames of a video per second."""
    with av.open(str(path)) as container:
        return float(container.streams.video[0].average_rate or 30)


def identity_of(row: int) -> Identity | None:
    """Return an evaluation person ready to swap, or None where the engine refuses the photo."""
    # With and without the network are two identities of one person.
    key = f"{row}:{BYPASS}"
    held = engine().ready(key)

    if held is not None:
        return held

    try:
        code = engine().register([photograph(faces(), row)]).code
    except InferenceError:
        return None

    made = engine().identity(key, code, engine().specialise(code))
    if BYPASS:
        made = replace(made, swapper=Bypass())

    return made


def faces() -> FaceSet:
    return evaluation().faces


def version_of(parts: Iterable[Path]) -> str:
    """Return a short digest of what results depend on: all of the engine, the pack, `parts`."""
    digest = hashlib.sha256(f"{pack().id} {BYPASS} {QUICK}".encode())
    sources = (ROOT / "models" / "inference").rglob("*")
    code = sorted(path for path in sources if path.suffix in {".py", ".c", ".h"})

    for path in [*code, *parts]:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def kept(name: str, version: str) -> Path:
    """Return where a result of this version is kept; those of other versions are removed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    variant = f"{name}{'.bypass' if BYPASS else ''}{'.quick' if QUICK else ''}"
    path = FOLDER / f"{variant}@{version}.npz"

    # Results of an older engine are of no use, and there are hundreds of megabytes of them.
    for other in FOLDER.glob(f"{variant}@*.npz"):
        if other != path:
            other.unlink()

    return path


def pooled_slope(output: list[NDArray[np.float64]], target: list[NDArray[np.float64]]) -> float:
    """Return the slope of output on target over time, each video about its own mean."""
    if not target:
        return float("nan")  # nothing moved enough to be measured

    x = np.concatenate([series - series.mean() for series in target])
    y = np.concatenate([series - series.mean() for series in output])
    return float((x * y).sum() / max((x * x).sum(), 1e-12))


def pooled_correlation(a: list[NDArray[np.float64]], b: list[NDArray[np.float64]]) -> float:
    """Return the correlation of two series over time, each video about its own mean."""
    if not a:
        return float("nan")

    x = np.concatenate([series - series.mean() for series in a])
    y = np.concatenate([series - series.mean() for series in b])
    return float((x * y).sum() / max(np.sqrt((x * x).sum() * (y * y).sum()), 1e-12))
