"""What more photos give an identity: `python -m models.training.evaluate_photos` prints the model card's table.

The evaluation people have two photos at most, and one must stay in the gallery. So the other is photographed again,
each time with its own light, turn, distance, noise and compression: 1, 2 and 4 such captures are registered through the
production engine, which fuses their textures and averages their embeddings.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.inference.arrays import BgrImage
from models.inference.engine import Assignment, FaceSelector, FaceSwapEngine
from models.packs.store import load_pack
from models.training.evaluate import Evaluation, Figures, Pair
from models.training.evaluate_refined import evaluation_of, swapped

COUNTS = (1, 2, 4)
TURN_DEG, DISTANCE, GAIN, SIDE_LIGHT, NOISE, BLUR_PX, JPEG = 8.0, 0.45, 0.25, 0.3, 7.0, 1.2, (35, 80)


@dataclass(frozen=True)
class Row:
    """One line of the table: `embedding` is the cosine of the code with that of the gallery's photo."""

    photos: int
    embedding: float
    figures: Figures


def captured(photo: BgrImage, rng: np.random.Generator) -> BgrImage:
    """Return a photograph as a phone might take it again: turned, farther away, lit from a side, noisy, compressed."""
    height, width = photo.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-TURN_DEG, TURN_DEG), 1.0)
    turned = cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    scale = 1 - rng.uniform(0, DISTANCE)
    far = cv2.resize(turned, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(far, (0, 0), 0.3 + rng.uniform(0, BLUR_PX) * scale).astype(np.float32)
    side = np.linspace(-1, 1, soft.shape[1])[None, :, None] * rng.uniform(-SIDE_LIGHT, SIDE_LIGHT)
    lit = soft * (1 + side) * rng.uniform(1 - GAIN, 1 + GAIN) + rng.normal(0, NOISE, soft.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG))]
    _, packed = cv2.imencode(".jpg", np.clip(lit, 0, 255).astype(np.uint8), quality)
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def measure(engine: FaceSwapEngine, evaluation: Evaluation, targets: int, people: int) -> list[Row]:
    """Register people who have another photo from 1, 2 and 4 captures, and swap each onto `targets` others."""
    rng = np.random.default_rng(11)
    cosines: dict[int, list[float]] = {photos: [] for photos in COUNTS}
    judged: dict[int, list[dict[str, Any]]] = {photos: [] for photos in COUNTS}
    several = [(a, b) for a, b in zip(evaluation.sources, evaluation.gallery, strict=True) if a != b]
    for source, other in several[:people]:
        shots = [captured(_photo(evaluation, source), rng) for _ in range(max(COUNTS))]
        drawn = rng.choice([row for row in evaluation.sources if row != source], targets, replace=False)
        gallery = engine.register([_photo(evaluation, other)]).code.embedding
        for photos in COUNTS:
            code = engine.register(shots[:photos]).code
            cosines[photos].append(float(code.embedding @ gallery))
            identity = engine.identity(f"{source}:{photos}", code, engine.specialise(code))
            for row in drawn:
                ours = swapped(engine, _photo(evaluation, row), Assignment(FaceSelector("largest"), identity))
                judged[photos].append(evaluation.judge(Pair(source, int(row)), ours))
    return [Row(n, float(np.mean(cosines[n])), evaluation.summary(judged[n])) for n in COUNTS]


def _photo(evaluation: Evaluation, row: int) -> BgrImage:
    return np.ascontiguousarray(evaluation.faces.crops[row][..., ::-1])


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", default="open")
    parser.add_argument("--packs", type=Path, default=Path("var/packs"))
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    parser.add_argument("--targets", type=int, default=2)
    parser.add_argument("--people", type=int, default=100)
    found = parser.parse_args()
    cv2.setNumThreads(1)
    pack = load_pack(found.pack, found.packs)
    engine, evaluation = FaceSwapEngine.load(pack), evaluation_of(pack, found.folder)
    sys.stdout.write("| photos | embedding to another photo | retrieved | cosine source | target | sharpness |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- | --- |\n")
    for row in measure(engine, evaluation, found.targets, found.people):
        seen = row.figures
        values = (row.embedding, seen.retrieved, seen.cosine_source, seen.cosine_target, seen.sharpness)
        sys.stdout.write(f"| {row.photos} | " + " | ".join(f"{value:.3f}" for value in values) + " |\n")


if __name__ == "__main__":
    main()
