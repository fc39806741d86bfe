"""What each part of the recipe gives, at equal budget: `python -m
models.training.evaluation.ablations`.

Every line is a student trained afresh by the same trainer with the same seed, then measured on the
people who are never trained on. Lines are kept in `var/training/ablations.csv`, so that a stopped
study goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np

from models.training.dataset import FaceSet, shared_folder
from models.training.evaluation.evaluate import Evaluation
from models.training.evaluation.renders import (
    Render,
    load_student,
    settle_norms,
    student_render,
    teacher_render,
)
from models.training.evaluation.tables import append
from models.training.pairs import PairMix
from models.training.student import TrainConfig
from models.training.train import train

SPOILT = PairMix(
    spoilt=0.6
)  # the teacher as the paper's is early on: more than half of its samples are poor
RECIPE = TrainConfig(threads=1)
LINES: dict[str, TrainConfig] = {
    "whole recipe": RECIPE,
    "without reweighting": replace(RECIPE, without=("reweighting",)),
    "spoilt teacher": replace(RECIPE, mix=SPOILT),
    "spoilt teacher, without reweighting": replace(RECIPE, mix=SPOILT, without=("reweighting",)),
    "without texture": replace(RECIPE, without=("texture",)),
    "without texture, with appearance encoder": replace(
        RECIPE, without=("texture",), appearance=True
    ),
    "without IIM": replace(RECIPE, without=("iim",)),
    "without same-person pairs": replace(RECIPE, without=("same",)),
    "without adversarial term": replace(RECIPE, without=("adversarial",)),
    "without expression term": replace(RECIPE, without=("expression",)),
    "with appearance encoder": replace(RECIPE, appearance=True),
    "whole recipe, another seed": replace(RECIPE, seed=2),
}


def study(evaluation: Evaluation, faces: FaceSet, folder: Path, graphs: Path, images: int) -> None:
    """Train and measure every line that is not in the table yet, until SIGTERM comes."""
    table = folder / "ablations.csv"
    if "teacher" not in done(table):
        write(table, "teacher", evaluation, teacher_render)
    for name, config in LINES.items():
        run = "ablation-" + name.replace(",", "").replace(" ", "-").lower()
        # A study of hours goes on where it was stopped: what is in the table is done.
        if name in done(table):
            continue
        if _seen(folder / "runs" / run) < images:
            train(replace(config, run=run, images=images), folder, graphs)
        # Training was ended by a signal: the rest is for the next call.
        if _seen(folder / "runs" / run) < images:
            return

        student, _ = load_student(folder / "runs" / run)
        write(table, name, evaluation, student_render(settle_norms(student, faces), faces))


def write(table: Path, name: str, evaluation: Evaluation, render: Render) -> None:
    """Measure a candidate and append its line to the table."""
    off_teacher = colour_off_teacher(evaluation, render)
    append(
        table,
        {"candidate": name} | asdict(evaluation.measure(render)) | {"off_teacher": off_teacher},
    )


def colour_off_teacher(evaluation: Evaluation, render: Render) -> float:
    """Return how far the mean colours of a candidate's faces are from the unspoilt teacher's, in
    0..1.
    """
    distances = []
    for pair in evaluation.pairs:
        target = evaluation.faces.swap_crop(pair.target)
        placed = evaluation.place(pair)
        # The soft rim would add the target's own colour to both.
        inside = placed.mask > 0.9
        ours, taught = (drawn(pair.source, target, placed)[0] for drawn in (render, teacher_render))
        distances.append(np.abs(ours[inside].mean(0) - taught[inside].mean(0)).mean() / 255)

    return float(np.mean(distances))


def done(table: Path) -> set[str]:
    # The table itself says what is done, so that nothing else has to be kept.
    """Return the lines a table has."""
    if not table.exists():
        return set()
    with table.open(newline="") as file:
        return {row["candidate"] for row in csv.DictReader(file)}


def as_markdown(table: Path) -> str:
    """Return the table as the model card shows it."""
    shown = (
        "retrieved",
        "cosine_source",
        "cosine_target",
        "landmarks",
        "mouth",
        "sharpness",
        "light",
        "off_teacher",
    )

    with table.open(newline="") as file:
        rows = [
            [row["candidate"], *(f"{float(row[name]):.4f}" for name in shown)]
            for row in csv.DictReader(file)
        ]

    header = [["student", *shown], ["---"] * (len(shown) + 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in header + rows)


def _seen(run: Path) -> int:
    return load_student(run)[1] if (run / "state.pt").exists() else 0


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1280)
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    parser.add_argument(
        "--graphs", type=Path, default=Path("var/packs/open"), help="folder of the pulled open pack"
    )
    found = parser.parse_args()
    # As in production, and in every other evaluation.
    cv2.setNumThreads(1)
    faces = FaceSet.load(found.folder / "faces")
    study(
        Evaluation(faces, found.graphs, shared_folder(), targets=1),
        faces,
        found.folder,
        found.graphs,
        found.images,
    )
    sys.stdout.write(as_markdown(found.folder / "ablations.csv") + "\n")


if __name__ == "__main__":
    main()
