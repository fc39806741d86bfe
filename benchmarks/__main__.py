"""`python -m benchmarks NAME [NAME ...] [--on bucket,sentinels]`: measure bars.

Exit 0 when all of them hold, 1 otherwise, 2 for a name that no bar has.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.backing import KINDS, backing
from benchmarks.bar import all_bars, measured


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--on", default="", help=f"what stacks stand on: {', '.join(KINDS)}")
    chosen = parser.parse_args(arguments)
    kinds = {kind for kind in chosen.on.split(",") if kind}
    if not kinds <= set(KINDS):
        parser.error(f"--on takes {', '.join(KINDS)}")

    with backing(kinds):
        return _measure(chosen.names)


def _measure(names: list[str]) -> int:
    bars = all_bars()
    unknown = [name for name in names if name not in bars]
    if not names or unknown:
        print(f"unknown bars: {unknown}; there are: {', '.join(sorted(bars))}", file=sys.stderr)
        return 2

    figures = {}
    for name in names:
        # Flushed: a bar takes minutes, and whoever watches wants to know which one it is.
        print(f"== {name}: {(bars[name].__doc__ or bars[name].__name__).strip()}", flush=True)
        figures[name] = measured(bars[name])
        print(figures[name].line(name), flush=True)

    return 0 if all(figure.holds for figure in figures.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
