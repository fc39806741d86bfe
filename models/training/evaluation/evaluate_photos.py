"""What more photos give an identity: `python -m models.training.evaluation.evaluate_photos` prints
the model card's table.

The evaluation people have two photos at most, and one must stay in the gallery. So the other is
photographed again, each time with its own light, turn, distance, noise and compression: 1, 2 and 4
such captures are registered through the production engine, which fuses their textures and averages
their embeddings. `--real` takes people of the training split with that many real photos instead:
their encoder was not trained by us, but the student has seen them.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.errors import LowQualityError
from models.inference.options import FaceSelector
from models.inference.swapping.selection import Assignment
from models.packs.store import load_pack
from models.training.dataset import FaceSet
from models.training.evaluation.command_line import pack_arguments
from models.training.evaluation.evaluate import Evaluation, Pair
from models.training.evaluation.evaluate_pack import evaluation_of, photograph, swapped
from models.training.evaluation.tables import Figures

# One photo, two, and four: the API takes up to eight.
COUNTS = (1, 2, 4)
TURN_DEG, DISTANCE, GAIN, SIDE_LIGHT, NOISE, BLUR_PX, JPEG = (
    8.0,
    0.45,
    0.25,
    0.3,
    7.0,
    1.2,
    (35, 80),
)


@dataclass(frozen=True)
class Row:
    """One line of the table: `embedding` is the cosine of the code with that of the gallery's
    photo.
    """

    photos: int
    embedding: float
    figures: Figures


def captured(photo: BgrImage, rng: np.random.Generator) -> BgrImage:
    """Return a photograph as a phone might take it again: turned, farther away, lit from a side,
    noisy, compressed.
    """
    height, width = photo.shape[:2]
    # A phone held by hand: a tilt, a distance, the light of a room, noise, compression.
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-TURN_DEG, TURN_DEG), 1.0)
    turned = cv2.warpAffine(photo, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    scale = 1 - rng.uniform(0, DISTANCE)
    far = cv2.resize(turned, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(far, (0, 0), 0.3 + rng.uniform(0, BLUR_PX) * scale).astype(np.float32)
    side = np.linspace(-1, 1, soft.shape[1])[None, :, None] * rng.uniform(-SIDE_LIGHT, SIDE_LIGHT)
    # Noise after light: it is the sensor's.
    lit = soft * (1 + side) * rng.uniform(1 - GAIN, 1 + GAIN) + rng.normal(0, NOISE, soft.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*JPEG))]
    _, packed = cv2.imencode(".jpg", np.clip(lit, 0, 255).astype(np.uint8), quality)

    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def measure(engine: FaceSwapEngine, evaluation: Evaluation, targets: int, people: int) -> list[Row]:
    """Register people who have another photo from 1, 2 and 4 captures, and swap each onto `targets`
    others.
    """
    # Fixed, so that packs are compared on the same captures.
    rng = np.random.default_rng(11)
    cosines: dict[int, list[float]] = {photos: [] for photos in COUNTS}
    judged: dict[int, list[dict[str, Any]]] = {photos: [] for photos in COUNTS}
    # Only people with another photo: the same one would flatter.
    several = [
        (a, b) for a, b in zip(evaluation.sources, evaluation.gallery, strict=True) if a != b
    ]

    for source, other in several[:people]:
        shots = [captured(photograph(evaluation.faces, source), rng) for _ in range(max(COUNTS))]
        drawn = rng.choice(
            [row for row in evaluation.sources if row != source], targets, replace=False
        )

        try:
            gallery = engine.register([photograph(evaluation.faces, other)]).code.embedding
            codes = [engine.register(shots[:photos]).code for photos in COUNTS]
        except LowQualityError:
            continue  # a capture too poor to register says nothing about more of them

        for photos, code in zip(COUNTS, codes, strict=True):
            cosines[photos].append(float(code.embedding @ gallery))
            identity = engine.identity(f"{source}:{photos}", code, engine.specialise(code))

            for row in drawn:
                ours = swapped(
                    engine,
                    photograph(evaluation.faces, row),
                    Assignment(FaceSelector("largest"), identity),
                )
                judged[photos].append(evaluation.judge(Pair(source, int(row)), ours))

    return [Row(n, float(np.mean(cosines[n])), evaluation.summary(judged[n])) for n in COUNTS]


@dataclass(frozen=True)
class RealRow:
    """One line for people with real photos: mean cosines of code and of swaps with a photo that was
    not registered.
    """

    people: int
    photos: int
    embedding: float
    swap: float


def measure_real(
    engine: FaceSwapEngine, evaluation: Evaluation, faces: FaceSet, targets: int
) -> list[RealRow]:
    """Register people from one photo and from more, compare with a further one.

    Poor photos leave people out.
    """
    # Mirror images are no further photos.
    half = len(faces.persons) // 2
    own = [rows[rows < half] for rows in faces.rows_of.values()]
    found = []

    for photos in COUNTS[1:]:
        # One photo is kept back to compare with.
        people = [rows for rows in own if len(rows) > photos and faces.splits[rows[0]] == "train"]
        rng = np.random.default_rng(12)
        cosines = []

        for rows in people:
            drawn = rng.choice(evaluation.sources, targets, replace=False)
            sets = ([*rows[:count], rows[-1]] for count in (1, photos))

            with suppress(LowQualityError):
                shots = [[photograph(faces, row) for row in chosen] for chosen in sets]
                cosines.append([_compare(engine, evaluation, taken, drawn) for taken in shots])

        for count, (embedding, swap) in zip((1, photos), np.mean(cosines, axis=0), strict=True):
            found.append(
                RealRow(
                    people=len(cosines),
                    photos=count,
                    embedding=float(embedding),
                    swap=float(swap),
                )
            )

    return found


def _compare(
    engine: FaceSwapEngine,
    evaluation: Evaluation,
    photos: list[BgrImage],
    targets: NDArray[np.intp],
) -> tuple[float, float]:
    """Return cosines of the code of all photos but the last, and of its swaps, with the last."""
    code = engine.register(photos[:-1]).code
    wanted = engine.register(photos[-1:]).code.embedding
    # Named by what it is, since two sets of photos may give one code.
    identity = engine.identity(code.embedding.tobytes().hex(), code, engine.specialise(code))
    swap = Assignment(FaceSelector("largest"), identity)
    ours = [swapped(engine, photograph(evaluation.faces, int(row)), swap) for row in targets]
    seen = evaluation.encoder.embed([*ours, np.ascontiguousarray(photos[-1][..., ::-1])])

    return float(code.embedding @ wanted), float((seen[:-1] @ seen[-1]).mean())


def main() -> None:
    """Measure from the command line."""
    parser = pack_arguments(__doc__)
    parser.add_argument("--targets", type=int, default=2)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument(
        "--real", action="store_true", help="people of the training split with several real photos"
    )
    found = parser.parse_args()
    pack = load_pack(found.pack, found.packs)
    engine = FaceSwapEngine.load(pack)
    evaluation = evaluation_of(pack, found.folder)

    if found.real:
        sys.stdout.write(
            "| people | photos | embedding to another photo | swap to another photo |\n"
        )
        sys.stdout.write("| --- | --- | --- | --- |\n")

        for real in measure_real(
            engine, evaluation, FaceSet.load(found.folder / "faces"), found.targets
        ):
            sys.stdout.write(
                f"| {real.people} | {real.photos} | {real.embedding:.3f} | {real.swap:.3f} |\n"
            )

        return

    sys.stdout.write(
        "| photos | embedding to another photo | retrieved | cosine source | target | sharpness |\n"
    )
    sys.stdout.write("| --- | --- | --- | --- | --- | --- |\n")

    for row in measure(engine, evaluation, found.targets, found.people):
        seen = row.figures
        values = (
            row.embedding,
            seen.retrieved,
            seen.cosine_source,
            seen.cosine_target,
            seen.sharpness,
        )
        sys.stdout.write(
            f"| {row.photos} | " + " | ".join(f"{value:.3f}" for value in values) + " |\n"
        )


if __name__ == "__main__":
    main()
