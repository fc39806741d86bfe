"""Tables of figures that grow by a line a run, and the figures of an evaluation."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figures:
    """Means over all pairs."""

    pairs: int
    retrieved: float
    cosine_source: float
    cosine_target: float
    landmarks: float
    mouth: float
    sharpness: float
    outside: float
    colour: float
    light: float


def record(table: Path, candidate: str, images: int, figures: Figures) -> None:
    """Append a line to the table of evaluations and print it."""
    append(table, {"candidate": candidate, "images": images} | asdict(figures))


def append(table: Path, line: Mapping[str, Any]) -> None:
    """Append a line to a table, which begins with the names, and print it.

    Figures in four decimals.
    """
    values = {
        # Four decimals: no document shows more.
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in line.items()
    }
    append_quietly(table, values)
    sys.stdout.write(" ".join(f"{name} {value}" for name, value in values.items()) + "\n")


def append_quietly(table: Path, line: Mapping[str, Any]) -> None:
    """Append a line to a table, which begins with the names of its columns."""
    new = not table.exists()

    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(line))
        # By the line's own names: a table keeps the columns it began with.
        if new:
            writer.writeheader()

        writer.writerow(line)
