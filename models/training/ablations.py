"""What each part of the recipe gives, at equal budget: `python -m models.training.ablations --images 1600`.

Every line is a student trained afresh by the same trainer with the same seed, then measured on the people who are never
trained on. Lines are kept in `var/training/ablations.csv`, so that a stopped study goes on where it was.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import replace
from pathlib import Path

import cv2

from models.training.dataset import FaceSet, shared_folder
from models.training.evaluate import Evaluation, load_student, record, settle_norms, student_render, teacher_render
from models.training.pairs import PairMix
from models.training.student import TrainConfig
from models.training.train import train

SPOILT = PairMix(spoilt=0.6)  # the teacher as the paper's is early on: more than half of its samples are poor
RECIPE = TrainConfig(threads=1)
LINES: dict[str, TrainConfig] = {
    "whole recipe": RECIPE,
    "without reweighting": replace(RECIPE, without=("reweighting",)),
    "spoilt teacher": replace(RECIPE, mix=SPOILT),
    "spoilt teacher, without reweighting": replace(RECIPE, mix=SPOILT, without=("reweighting",)),
    "without texture": replace(RECIPE, without=("texture",)),
    "without texture, with appearance encoder": replace(RECIPE, without=("texture",), appearance=True),
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
        record(table, "teacher", 0, evaluation.measure(teacher_render))
    for name, config in LINES.items():
        if name in done(table):
            continue
        run = "ablation-" + name.replace(",", "").replace(" ", "-").lower()
        train(replace(config, run=run, images=images), folder, graphs)
        student, seen = load_student(folder / "runs" / run)
        if seen < images:
            return
        record(table, name, seen, evaluation.measure(student_render(settle_norms(student, faces), faces)))


def done(table: Path) -> set[str]:
    """Return the lines a table has."""
    if not table.exists():
        return set()
    with table.open(newline="") as file:
        return {row["candidate"] for row in csv.DictReader(file)}


def as_markdown(table: Path) -> str:
    """Return the table as the model card shows it."""
    shown = ("retrieved", "cosine_source", "cosine_target", "landmarks", "mouth", "sharpness", "light")
    with table.open(newline="") as file:
        rows = [[row["candidate"], *(f"{float(row[name]):.4f}" for name in shown)] for row in csv.DictReader(file)]
    header = [["student", *shown], ["---"] * (len(shown) + 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in header + rows)


def main() -> None:
    """Run the study from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1600)
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    parser.add_argument("--graphs", type=Path, default=Path("var/packs/open"), help="folder of the pulled open pack")
    found = parser.parse_args()
    cv2.setNumThreads(1)
    faces = FaceSet.load(found.folder / "faces")
    study(Evaluation(faces, found.graphs, shared_folder(), targets=1), faces, found.folder, found.graphs, found.images)
    sys.stdout.write(as_markdown(found.folder / "ablations.csv") + "\n")


if __name__ == "__main__":
    main()
