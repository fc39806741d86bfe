"""`python -m tests.benchmarks NAME [NAME ...]`: measure bars; exit 0 when all of them hold, 1 otherwise."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import tests.benchmarks as package
from tests.benchmarks.bar import BARS


def main(names: list[str]) -> int:
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in {"__main__", "bar"}:
            importlib.import_module(f"{package.__name__}.{module.name}")
    unknown = [name for name in names if name not in BARS]
    if not names or unknown:
        print(f"unknown bars: {unknown}; there are: {', '.join(sorted(BARS))}", file=sys.stderr)
        return 2
    figures = {}
    for name in names:
        print(f"== {name}: {(BARS[name].__doc__ or BARS[name].__name__).strip()}", flush=True)
        figures[name] = BARS[name]()
        print(figures[name].line(name), flush=True)
    return 0 if all(figure.holds for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
