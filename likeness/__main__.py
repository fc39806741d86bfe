"""`python -m likeness`, and the console script `likeness`."""

from __future__ import annotations

import sys

from likeness import OWN_PACKAGES


def main() -> None:
    """Run the command line and leave with its exit status.

    An interpreter without our dependencies, as `python3 -m likeness` in a checkout may find, is
    told which one has them.
    """
    try:
        # Not at the top of the module: a missing dependency has to be caught before it is imported.
        from likeness.cli import run
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OWN_PACKAGES:
            # A module of our own that is missing is a bug: its traceback is of more use than a
            # sentence.
            raise

        sys.exit(
            f"error: the Python package {package} is missing in {sys.prefix}: run make setup, then"
            " .venv/bin/likeness"
        )

    sys.exit(run())


if __name__ == "__main__":
    main()
