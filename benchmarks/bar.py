"""Bars: what the project promises, each measured by a command of its own.

A bar is a function that prints what it measures and returns a `Figure`; `make bar BAR=P-1` runs it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import benchmarks as package

Measure = Callable[[], "Figure"]
BARS: dict[str, Measure] = {}


@dataclass(frozen=True)
class Figure:
    """One measured value beside the bar it is held to."""

    value: float | str
    unit: str
    bar: str
    holds: bool

    def line(self, name: str) -> str:
        # Four digits tell a change from noise; more of them only look exact.
        value = self.value if isinstance(self.value, str) else f"{self.value:.4g}"
        return (
            f"{name} {value} {self.unit} (bar {self.bar})"
            f" {'holds' if self.holds else 'falls short'}"
        )


class TookTooLong(Exception):
    """A bar did not end within its time."""

    def __init__(self, bound_s: float) -> None:
        super().__init__(f"not done within {bound_s:.0f} s")
        self.bound_s = bound_s


def bar(name: str) -> Callable[[Measure], Measure]:
    """Register the decorated function as the measurement of bar `name`; a name is taken once."""

    def register(measure: Measure) -> Measure:
        # Two bars of one name would hide each other in the index.
        if name in BARS:
            raise ValueError(f"bar {name} is defined twice")

        BARS[name] = measure
        return measure

    return register


def all_bars() -> Mapping[str, Measure]:
    """Import every room of benchmarks, so that their bars register; return the bars by name."""
    for room in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if room.ispkg:
            # Importing is what registers; a module at the top (`stack`, `suite`) has no bars.
            folder = importlib.import_module(room.name).__path__
            for module in pkgutil.iter_modules(folder, f"{room.name}."):
                importlib.import_module(module.name)

    return BARS


def measured(measure: Measure) -> Figure:
    """Return a bar's figure; one that is late has a figure like any other, so that those after it
    are still measured.
    """
    try:
        return measure()
    except TookTooLong as late:
        return Figure(f"not within {late.bound_s:.0f}", "s", "of its own", holds=False)
