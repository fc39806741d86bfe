"""`python -m likeness`, and the console script `likeness`."""

from __future__ import annotations

import sys

OURS = {"likeness", "likeness_client", "service", "worker", "models"}


def main() -> None:
    """Run the command line and leave with its exit status.

    An interpreter without our dependencies, as `python3 -m likeness` in a checkout may find, is
    told which one has them.
    """
    try:
        from likeness.cli import run
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OURS:
            raise

        sys.exit(
            f"error: the Python package {package} is missing in {sys.prefix}: run make setup, then"
            " .venv/bin/likeness"
        )

    sys.exit(run())


if __name__ == "__main__":
    main()
