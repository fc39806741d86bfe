"""Measures refinement through the production engine, on people who are never trained on.

`python -m models.training.evaluation.evaluate_refined`: people of the `eval` split who have another
photo for the gallery are registered from one photo and refined. It takes minutes a person, so a few
are, and their weights are kept in `var/training/refined/<pack>` for the next look. Both lines of
the table are of the same pairs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np

from models.inference.arrays import RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.identity import SpecialisedWeights
from models.inference.options import FaceSelector
from models.inference.swapping.selection import Assignment
from models.packs.store import Pack, load_pack
from models.refinement.refine import RefineConfig, Refined, Refiner
from models.training.evaluation.command_line import pack_arguments
from models.training.evaluation.evaluate import Evaluation, Pair
from models.training.evaluation.evaluate_pack import evaluation_of, photograph, swapped
from models.training.evaluation.tables import Figures

Weights = Mapping[int, SpecialisedWeights]


class RefinedPeople:
    """Some evaluation people, as registered with a pack and as refined.

    Keys are rows of the face set.
    """

    def __init__(self, pack: Pack, folder: Path, people: int, targets: int) -> None:
        self.evaluation = evaluation_of(pack, folder)
        self.engine = FaceSwapEngine.load(pack)
        sources = _sources(self.evaluation, people)
        self.evaluation.pairs = _pairs(self.evaluation, sources, targets)
        self.codes = {
            row: self.engine.register([photograph(self.evaluation.faces, row)]).code
            for row in sources
        }
        self.instant: Weights = {
            row: self.engine.specialise(code) for row, code in self.codes.items()
        }
        self._pack = pack
        self._kept = folder / "refined" / pack.id

    def refined(self, config: RefineConfig) -> Weights:
        """Refine who is not refined yet, and return everybody's weights."""
        self._kept.mkdir(parents=True, exist_ok=True)
        return {row: self._refined(row, config) for row in self.codes}

    def figures(self, weights: Weights) -> Figures:
        """Measure the people's swaps with these weights."""
        pairs = self.evaluation.pairs
        return self.evaluation.summary(
            [self.evaluation.judge(pair, self.swap(pair, weights)) for pair in pairs]
        )

    def sheet(self, refined: Weights, pairs: int = 12) -> RgbImage:
        """Return a contact sheet: source, target, instant, refined."""
        chosen = [
            self.evaluation.pairs[i]
            for i in np.linspace(0, len(self.evaluation.pairs) - 1, pairs).astype(int)
        ]
        crops = self.evaluation.faces.crops
        rows = [
            [crops[p.source], crops[p.target], self.swap(p, self.instant), self.swap(p, refined)]
            for p in chosen
        ]
        strips = [np.hstack(row) for row in rows]

        return np.asarray(
            np.vstack([np.hstack(strips[i : i + 2]) for i in range(0, len(strips) - 1, 2)]),
            np.uint8,
        )

    def swap(self, pair: Pair, weights: Weights) -> RgbImage:
        """Return the target's crop file after a swap with the source's weights."""
        # The same source has two sets of weights here: the set is part of the key.
        key = f"{pair.source}:{id(weights)}"
        identity = self.engine.ready(key) or self.engine.identity(
            key, self.codes[pair.source], weights[pair.source]
        )
        return swapped(
            self.engine,
            photograph(self.evaluation.faces, pair.target),
            Assignment(FaceSelector("largest"), identity),
        )

    def _refined(self, row: int, config: RefineConfig) -> SpecialisedWeights:
        # Refining takes four minutes a person: kept by what determines it, for the next bar.
        kept = self._kept / f"{row}-{config.steps}.npz"
        if not kept.exists():
            found = self._refiner.refine(self.codes[row], self.instant[row], config)
            sys.stdout.write(f"{self.evaluation.faces.persons[row]}: {_told(found)}\n")
            kept.write_bytes(found.weights.to_bytes())

        return SpecialisedWeights.from_bytes(kept.read_bytes())

    @cached_property
    def _refiner(self) -> Refiner:
        return Refiner.load(self._pack)


def _sources(evaluation: Evaluation, people: int) -> list[int]:
    """Draw people who have another photo for the gallery."""
    # Judged against another photo of theirs, or the figures would praise the copying of one photo.
    several = [
        row
        for row, other in zip(evaluation.sources, evaluation.gallery, strict=True)
        if row != other
    ]
    # Fixed seeds: candidates are compared on the same people and pairs.
    return [int(row) for row in np.random.default_rng(3).permutation(several)[:people]]


def _pairs(evaluation: Evaluation, sources: list[int], targets: int) -> list[Pair]:
    """Put every source on its own random targets, never on itself."""
    rng = np.random.default_rng(4)
    others = {row: [other for other in evaluation.sources if other != row] for row in sources}
    return [
        Pair(row, int(target))
        for row in sources
        for target in rng.choice(others[row], targets, replace=False)
    ]


def _told(found: Refined) -> str:
    before = found.before
    after = found.after
    return (
        f"{found.steps} steps in {found.seconds:.0f} s, similarity {before.similarity:.3f} ->"
        f" {after.similarity:.3f}, sharpness {before.sharpness:.2f} -> {after.sharpness:.2f}"
    )


def main() -> None:
    """Refine and measure from the command line."""
    parser = pack_arguments(__doc__)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--targets", type=int, default=10)
    parser.add_argument("--steps", type=int, default=RefineConfig.steps)
    parser.add_argument("--seconds", type=float, default=RefineConfig.seconds)
    parser.add_argument(
        "--sheet", type=Path, help="where to write source | target | instant | refined"
    )
    found = parser.parse_args()
    people = RefinedPeople(
        load_pack(found.pack, found.packs), found.folder, found.people, found.targets
    )
    refined = people.refined(RefineConfig(steps=found.steps, seconds=found.seconds))

    for name, weights in (("instant", people.instant), ("refined", refined)):
        values = {key: round(value, 4) for key, value in asdict(people.figures(weights)).items()}
        sys.stdout.write(
            f"{name}: " + " ".join(f"{key} {value}" for key, value in values.items()) + "\n"
        )

    if found.sheet:
        cv2.imwrite(str(found.sheet), cv2.cvtColor(people.sheet(refined), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
