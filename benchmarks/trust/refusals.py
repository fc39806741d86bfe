"""Bars of refusals: how often adults are refused, and what the checks cost."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import numpy as np

from benchmarks.bar import Figure, bar
from benchmarks.trust import material
from models.inference.engine import FaceSwapEngine
from models.inference.frames.image_frame import ImageFrame
from models.inference.safety.nudity import is_sexual
from models.packs.store import load_pack
from tests.material import PACKS, shared

# As many as a few minutes allow.
PORTRAITS = 300
OFFICIAL = 440


@bar("T-10")
def portraits_are_not_taken_for_sexual_content() -> Figure:
    """Of 300 portraits those refused, the highest score, and the cost of a sample of a video."""
    engine = engine_with_checks()
    assert engine.safety is not None
    scores: list[tuple[float, ...]] = []
    spent: list[float] = []

    for path in _faces()[:PORTRAITS]:
        image = material.read(path)
        boxes = [face.box for face in engine.detect(image)][:1]
        began = time.process_time()
        scores.append(engine.safety.nudity_scores(ImageFrame(image), boxes))
        # CPU time, which other processes do not change.
        spent.append(time.process_time() - began)

    refused = sum(is_sexual(one) for one in scores)
    sample_ms = float(np.median(spent)) * 1e3
    # The whole and one body; a sample each two seconds at 30 fps.
    frame_ms = sample_ms / 60
    print(f"{len(scores)} portraits, highest score {max(max(one) for one in scores):.2f}")
    print(f"{sample_ms:.1f} ms a sample, {frame_ms:.2f} ms a video frame; {material.cpu_name()}")
    return Figure(
        refused, "refused of 300", "0, <= 0.5 ms a frame", refused == 0 and frame_ms <= 0.5
    )


@bar("T-11")
def adults_are_not_taken_for_minors() -> Figure:
    """Of 440 official portraits of adults the share refused as under 18, and the cost."""
    engine = engine_with_checks()
    assert engine.safety is not None
    verdicts: list[str] = []
    spent: list[float] = []

    for path in _faces("congress", "officials")[:OFFICIAL]:
        image = material.read(path)
        faces = engine.detect(image)

        # A face that is not found is another bar's matter.
        if not faces:
            continue

        began = time.process_time()
        # With the cutting out: it is part of what the check costs.
        chip = engine.encoder.chip(ImageFrame(image), faces[0].landmarks)
        age = engine.safety.apparent_age([chip])
        spent.append(time.process_time() - began)
        assert age is not None
        # "Unsure" is not refused: it asks for evidence, and is printed beside.
        verdicts.append(age.verdict)

    minors = verdicts.count("minor") / len(verdicts)
    face_ms = float(np.median(spent)) * 1e3
    print(f"{len(verdicts)} portraits: {minors:.2%} minor, {verdicts.count('unsure')} unsure")
    print(f"{face_ms:.1f} ms a face; {material.cpu_name()}")

    return Figure(minors * 100, "% refused", "<= 1, <= 10 ms", minors <= 0.01 and face_ms <= 10)


def engine_with_checks() -> FaceSwapEngine:
    """Return the engine with the networks of both checks."""
    pack = load_pack("open", PACKS)
    return FaceSwapEngine.load(pack, device="cpu", nudity_check=True, age_check=True)


def _faces(*sets: str) -> list[Path]:
    """Return face crops of the measuring material, of some of its sets."""
    folder = shared() / "data"
    with (folder / "faces.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [folder / "faces" / row["file"] for row in rows if not sets or row["set"] in sets]
