"""`python -m likeness`, and the console script `likeness`."""

from __future__ import annotations

import sys

from likeness.cli import run


def main() -> None:
    """Run the command line and leave with its exit status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
