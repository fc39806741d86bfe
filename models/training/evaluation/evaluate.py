"""Measures swaps of people who are never trained on, and lays them out to be looked at.

`python -m models.training.evaluation.evaluate teacher`, `... <run>` (its newest state) or `...
pack:<folder>` prints the figures, appends a line to `var/training/evaluations.csv` and writes a
contact sheet: source, target, teacher, ours, mask.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from models.inference.arrays import Mask, RgbImage
from models.inference.finding.face_mesh import FaceMesh
from models.inference.session import SessionFactory
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.placed import Placed
from models.training.curves import draw_curves
from models.training.dataset import CANONICAL, CANVAS, FaceSet, mesh_in, shared_folder
from models.training.evaluation import measures
from models.training.evaluation.renders import (
    Render,
    load_student,
    settle_norms,
    student_render,
    teacher_render,
)
from models.training.evaluation.tables import Figures, record
from models.training.teacher import Source, teach

Array = NDArray[Any]


@dataclass(frozen=True)
class Pair:
    """One swap of the evaluation: rows of the face set."""

    source: int
    target: int


class Evaluation:
    """The evaluation people, their gallery, and the pairs, the same for every candidate."""

    def __init__(self, faces: FaceSet, graphs: Path, shared: Path, targets: int = 3) -> None:
        self.faces = faces
        self.canonical = CanonicalFace.load(CANONICAL)
        self.encoder = measures.IndependentEncoder.load(shared)
        self.mesh = FaceMesh(SessionFactory("cpu", 2).open(graphs / "face_mesh.onnx"))
        rows = faces.evaluation_rows
        # By name, so that rows of a table mean the same people in every run.
        self.people = [str(p) for p in np.unique(faces.persons[rows])]
        photos = [rows[faces.persons[rows] == person] for person in self.people]
        self.sources = [int(own[0]) for own in photos]
        self.gallery = [int(own[-1]) for own in photos]  # another photo, wherever there is one
        self.pairs = self._pairs(targets)

    def _pairs(self, targets: int) -> list[Pair]:
        # Fixed: all candidates are judged on the same pairs.
        rng = np.random.default_rng(7)
        pairs = []

        for _ in range(targets):
            # Each person is a source and a target equally often, and never their own.
            order = rng.permutation(len(self.sources))
            pairs += [
                Pair(self.sources[a], self.sources[b])
                for a, b in zip(order, np.roll(order, 1), strict=True)
            ]

        return pairs

    @cached_property
    def gallery_embeddings(self) -> Array:
        return self.encoder.embed([self.faces.crops[row] for row in self.gallery])

    def source(self, row: int) -> Source:
        return Source(self.faces.textures[row], self.faces.meshes[row])

    def measure(self, render: Render) -> Figures:
        """Return the figures of a candidate over all pairs."""
        return self.summary([self.judge(pair, self._rendered(pair, render)) for pair in self.pairs])

    def judge(self, pair: Pair, ours: RgbImage) -> dict[str, Any]:
        """Return what is measured of one swap, pasted into the target's 288 px crop file."""
        theirs = self.faces.crops[pair.target]
        # On the crop file, which has the margin that production pastes into.
        mask = self._canvas_mask(pair)
        mesh = mesh_in(self.mesh, ours)
        wanted = mesh_in(self.mesh, theirs)

        return {
            "embedding": self.encoder.embed([ours])[0],
            "target_embedding": self.encoder.embed([theirs])[0],
            # Which row of the gallery should come first.
            "person": self.sources.index(pair.source),
            "landmarks": measures.landmark_distance(mesh, wanted),
            "mouth": measures.mouth_error(mesh, wanted),
            "detail": measures.detail(ours, mask),
            "target_detail": measures.detail(theirs, mask),
            "outside": measures.outside_error(ours, theirs, mask),
            "colour": measures.colour_shift(ours, theirs, mask),
            "light": measures.light_shift(ours, theirs, mask),
        }

    def _rendered(self, pair: Pair, render: Render) -> RgbImage:
        target = self.faces.swap_crop(pair.target)
        return self._paste(*render(pair.source, target, self.place(pair)), pair.target)

    def _canvas_mask(self, pair: Pair) -> Mask:
        mask = self.place(pair).mask
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(mask, self.faces.to_crop[pair.target], (CANVAS, CANVAS), flags=flags),
            np.float32,
        )

    def place(self, pair: Pair) -> Placed:
        """Return the source's texture placed on the target's swap crop."""
        source = self.source(pair.source)
        target = self.faces.swap_crop(pair.target)
        return self.canonical.place(
            source.texture, source.mesh, target, self.faces.meshes[pair.target]
        )

    def _paste(self, ours: RgbImage, mask: Mask, row: int) -> RgbImage:
        """Return the target's crop file with the swapped crop pasted back, as production pastes
        it.
        """
        canvas = self.faces.crops[row]
        back = self.faces.to_crop[row]
        # Cubic, as production's paste, or the comparison would judge the interpolation.
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        size = canvas.shape[1::-1]
        face = cv2.warpAffine(
            ours, back, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
        ).astype(np.float32)
        weight = cv2.warpAffine(mask, back, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)[
            ..., None
        ]

        # Half a level more, since the cast cuts off.
        return np.asarray(np.clip(canvas + (face - canvas) * weight + 0.5, 0, 255), np.uint8)

    def summary(self, rows: list[dict[str, Any]]) -> Figures:
        """Return the figures of judged swaps."""
        embeddings = np.stack([r["embedding"] for r in rows])
        persons = np.array([r["person"] for r in rows])
        # Cosines, since all embeddings have length one.
        similar = embeddings @ self.gallery_embeddings.T
        to_target = (embeddings * np.stack([r["target_embedding"] for r in rows])).sum(1)
        mean = {
            name: float(np.mean([r[name] for r in rows]))
            for name in rows[0]
            if "embedding" not in name
        }

        return Figures(
            pairs=len(rows),
            retrieved=float((similar.argmax(1) == persons).mean()),
            cosine_source=float(similar[np.arange(len(rows)), persons].mean()),
            cosine_target=float(to_target.mean()),
            landmarks=mean["landmarks"],
            mouth=mean["mouth"],
            # Of the means, not the mean of ratios: a smooth target must not count for more.
            sharpness=mean["detail"] / mean["target_detail"],
            outside=mean["outside"],
            colour=mean["colour"],
            light=mean["light"],
        )

    def sheet(self, render: Render, pairs: int = 20) -> RgbImage:
        """Return the contact sheet: source, target, teacher, ours and mask of some pairs, two pairs
        a row.
        """
        chosen = [self.pairs[i] for i in np.linspace(0, len(self.pairs) - 1, pairs).astype(int)]
        strips = [self._strip(pair, render) for pair in chosen]
        rows = [np.hstack(strips[i : i + 2]) for i in range(0, len(strips), 2)]

        return np.asarray(np.vstack(rows), np.uint8)

    def _strip(self, pair: Pair, render: Render) -> RgbImage:
        target = self.faces.swap_crop(pair.target)
        source = self.source(pair.source)
        taught, placed = teach(self.canonical, source, target, self.faces.meshes[pair.target])
        ours, mask = render(pair.source, target, placed)
        grey = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, 2)

        return np.hstack([self.faces.swap_crop(pair.source), target, taught, ours, grey])


def main() -> None:
    """Evaluate one candidate from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("candidate", help="teacher, or the name of a run")
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    parser.add_argument("--graphs", type=Path, default=Path("var/packs/open"))
    parser.add_argument("--targets", type=int, default=3, help="targets a source")
    parser.add_argument("--sheet", type=Path)
    found = parser.parse_args()
    # As many as the two cores it is developed on.
    torch.set_num_threads(2)
    cv2.setNumThreads(1)
    faces = FaceSet.load(found.folder / "faces")
    evaluation = Evaluation(faces, found.graphs, shared_folder(), found.targets)
    render: Render = teacher_render
    images = 0

    if found.candidate != "teacher":
        student, images = load_student(found.folder / "runs" / found.candidate)
        settle_norms(student, faces)
        render = student_render(student, faces)
        run = found.folder / "runs" / found.candidate
        draw_curves(run / "curve.csv", run / "curve.png")

    figures = evaluation.measure(render)
    record(found.folder / "evaluations.csv", found.candidate, images, figures)
    sheet = found.sheet or found.folder / f"{found.candidate}.png"
    cv2.imwrite(str(sheet), cv2.cvtColor(evaluation.sheet(render), cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
