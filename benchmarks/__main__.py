"""`python -m benchmarks NAME [NAME ...]`: measure bars.

Exit 0 when all of them hold, 1 otherwise.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks as package
from benchmarks.bar import BARS, Figure
from benchmarks.stack import TookTooLong


def main(names: list[str]) -> int:
    for room in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if room.ispkg:
            for module in pkgutil.iter_modules(
                importlib.import_module(room.name).__path__, f"{room.name}."
            ):
                importlib.import_module(module.name)

    unknown = [name for name in names if name not in BARS]
    if not names or unknown:
        print(f"unknown bars: {unknown}; there are: {', '.join(sorted(BARS))}", file=sys.stderr)
        return 2

    figures = {}
    for name in names:
        print(f"== {name}: {(BARS[name].__doc__ or BARS[name].__name__).strip()}", flush=True)
        figures[name] = _measured(name)
        print(figures[name].line(name), flush=True)

    return 0 if all(figure.holds for figure in figures.values()) else 1


def _measured(name: str) -> Figure:
    try:
        return BARS[name]()
    except TookTooLong as late:
        return Figure(f"not within {late.bound_s:.0f}", "s", "of its own", holds=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
