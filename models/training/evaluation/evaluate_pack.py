"""Measures an installed pack through the production engine: `python -m
models.training.evaluation.evaluate_pack`.

It prints the model card's table. Sources and targets are people of the `eval` split; a source is
registered from one photo, and the gallery holds another photo of the same person wherever there is
one.
"""

from __future__ import annotations

import sys
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import BgrImage, RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.errors import InferenceError
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from models.inference.texture.face_texture import CanonicalFace
from models.packs.store import Pack, load_pack
from models.training.dataset import FaceSet, shared_folder
from models.training.evaluation.command_line import pack_arguments
from models.training.evaluation.evaluate import Evaluation, Pair
from models.training.evaluation.tables import Figures, record
from models.training.material.prepare import portraits, prepare

Array = NDArray[Any]

TARGETS = 2  # of each source
# Beyond it the cheek that is turned away begins to be hidden.
TURNED_DEG = 15.0


class PackSwaps:
    """All swaps of the evaluation by a pack's engine, each judged once."""

    def __init__(self, pack: Pack, folder: Path, targets: int = TARGETS) -> None:
        self.engine = FaceSwapEngine.load(pack)
        self.evaluation = evaluation_of(pack, folder, targets)

    def figures(self, chosen: Array | None = None) -> Figures:
        """Return the figures of all pairs, or of those whose indices are given."""
        rows = self.judged
        return self.evaluation.summary(
            rows if chosen is None else [rows[index] for index in chosen]
        )

    @cached_property
    def judged(self) -> list[dict[str, Any]]:
        return [self.evaluation.judge(pair, self.swap(pair)) for pair in self.evaluation.pairs]

    def swap(self, pair: Pair) -> RgbImage:
        """Return the target's crop file after a swap."""
        target = photograph(self.evaluation.faces, pair.target)
        try:
            assignment = Assignment(FaceSelector("largest"), self._identity(pair.source))
        # A source that cannot be registered counts as not swapped, or the best packs would look
        # worse.
        except InferenceError:
            return np.ascontiguousarray(target[..., ::-1])

        return swapped(self.engine, target, assignment)

    def groups(self) -> dict[str, Array]:
        """Return the pairs of each group of the card: by the source's set and skin, and of turned
        targets.
        """
        faces = self.evaluation.faces
        sources, targets = np.array(
            [(pair.source, pair.target) for pair in self.evaluation.pairs]
        ).T
        found = {
            str(origin): np.flatnonzero(faces.origins[sources] == origin)
            for origin in np.unique(faces.origins)
        }
        skin = np.array(
            [_lightness(faces.textures[row], self.evaluation.canonical.mask) for row in sources]
        )
        # Thirds by lightness, so that a pack cannot do well on average alone.
        dark, light = np.quantile(skin, (1 / 3, 2 / 3))
        found["darkest third of skins"] = np.flatnonzero(skin <= dark)
        found["middle third"] = np.flatnonzero((skin > dark) & (skin <= light))
        found["lightest third"] = np.flatnonzero(skin > light)
        turned = np.abs(faces.yaws[targets]) > TURNED_DEG
        found[f"targets turned more than {TURNED_DEG:.0f} degrees"] = np.flatnonzero(turned)

        return {name: chosen for name, chosen in found.items() if len(chosen)}

    def _identity(self, row: int) -> Identity:
        key = str(row)
        ready = self.engine.ready(key)

        if ready is not None:
            return ready

        code = self.engine.register([photograph(self.evaluation.faces, row)]).code
        return self.engine.identity(key, code, self.engine.specialise(code))


def evaluation_of(pack: Pack, folder: Path, targets: int = TARGETS) -> Evaluation:
    """Return the evaluation with faces of the `eval` split alone, prepared in `folder`/evaluation
    when first asked.
    """
    prepared = folder / "evaluation"
    # Prepared with the pack's own networks, once.
    if not (prepared / "labels.npz").exists():
        people = [face for face in portraits(shared_folder()) if face.split == "eval"]
        prepare(people, pack.root, CanonicalFace.load(pack.canonical), prepared)

    return Evaluation(FaceSet.load(prepared), pack.root, shared_folder(), targets)


def swapped(engine: FaceSwapEngine, photo: BgrImage, assignment: Assignment) -> RgbImage:
    """Return a photograph after a swap.

    Untouched where the engine refuses, so that refusals count against it.
    """
    try:
        frame = engine.swap_frame(photo, [assignment]).frame
    # As for sources: what is not swapped counts as it is.
    except InferenceError:
        frame = photo

    return np.ascontiguousarray(frame[..., ::-1])


def photograph(faces: FaceSet, row: int) -> BgrImage:
    """Return a face's crop file as the engine takes photographs."""
    return np.ascontiguousarray(faces.crops[row][..., ::-1])


def _lightness(texture: RgbImage, mask: Array) -> float:
    return float(np.median(cv2.cvtColor(texture, cv2.COLOR_RGB2LAB)[..., 0][mask > 127]))


def as_row(name: str, found: Figures) -> str:
    """Return a line of the card's table."""
    cosines = f"{found.cosine_source:.3f} / {found.cosine_target:.3f}"
    rest = f"{found.landmarks:.4f} | {found.mouth:.4f} | {found.sharpness:.2f} | {found.light:.3f}"
    return f"| {name} | {found.pairs} | {found.retrieved:.1%} | {cosines} | {rest} |\n"


def main() -> None:
    """Measure from the command line."""
    parser = pack_arguments(__doc__)
    options = parser.parse_args()
    pack = load_pack(options.pack, options.packs)
    swaps = PackSwaps(pack, options.folder)
    record(options.folder / "evaluations.csv", pack.id, 0, swaps.figures())
    sys.stdout.write(
        "| sources | swaps | retrieved | cosine source / target | landmarks | mouth | sharpness |"
        " light |\n"
    )
    sys.stdout.write("| --- " * 8 + "|\n" + as_row("all", swaps.figures()))

    for name, chosen in swaps.groups().items():
        sys.stdout.write(as_row(name, swaps.figures(chosen)))


if __name__ == "__main__":
    main()
