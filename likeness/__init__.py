"""Likeness as one program: `likeness` on the command line, `python -m likeness` as well.

The rooms `service`, `worker` and `models` lie beside this package in a checkout, and below it in a
wheel, where no other distribution's modules of these names can meet them. Importing this package
puts them first in the search, for this process and for those that it starts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - a checkout can be run with any interpreter
    sys.exit(
        "error: likeness needs Python 3.11 or newer, and this is "
        + ".".join(map(str, sys.version_info[:2]))
        + ": install a newer one and run it as python3.12 -m likeness"
    )

# One of these that is missing is a bug of ours, and not a dependency to be installed.
OWN_PACKAGES = frozenset({"likeness", "likeness_client", "service", "worker", "models"})

PACKAGE = Path(__file__).resolve().parent
# Building a wheel moves the rooms below the package (pyproject.toml); a checkout keeps them beside
# it.
IS_CHECKOUT = not (PACKAGE / "rooms").is_dir()
ROOMS = PACKAGE.parent if IS_CHECKOUT else PACKAGE / "rooms"
# The Python client lies with its own project in a checkout; the command uses it as anybody would.
PLACES = (ROOMS, ROOMS / "clients" / "python") if IS_CHECKOUT else (ROOMS,)


def _search_rooms_first() -> None:
    places = [str(place) for place in PLACES]
    # In front, not at the end: another distribution may have a top-level `models` or `service` too.
    sys.path[:] = [*places, *(entry for entry in sys.path if entry not in places)]
    # What the caller asked for stays, behind ours: their own modules must still be found.
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]

    # A directory called `models` where somebody calls the program must not take the place of ours.
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*places, *inherited]))


_search_rooms_first()
