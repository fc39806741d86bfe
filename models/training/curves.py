"""Draws a run's losses over the images it has seen."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# In the order of the panels, two rows of four.
TERMS = (
    "reconstruction",
    "perceptual",
    "identity",
    "mask",
    "adversarial",
    "features",
    "judge",
    "expression",
)


def draw_curves(table: Path, image: Path) -> None:
    """Write a PNG of the losses in a run's curve.csv, one panel each.

    Raises FileNotFoundError without the table.
    """
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))

    images = [int(row["images"]) for row in rows]
    figure = Figure(figsize=(14, 6), layout="constrained")
    FigureCanvasAgg(figure)

    for place, term in enumerate(TERMS, start=1):
        axes = figure.add_subplot(2, 4, place, title=term)
        # A term that was not computed in a stretch (a judge that starts later) leaves a gap.
        axes.plot(images, [float(row[term] or "nan") for row in rows])
        axes.grid(alpha=0.3)

    figure.savefig(image, dpi=80)
