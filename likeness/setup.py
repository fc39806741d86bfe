"""What every command needs first: where state lies, the settings, and the models.

State is below `LIKENESS_DATA_DIR`; without it, in `var` of a checkout, else where the system keeps
a user's data.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from likeness import IS_CHECKOUT, ROOMS
from service.settings import Settings

# The only pack that can be fetched; every other is imported from files of the user's own.
PACK = "open"


def prepare() -> None:
    """Settle where state lies, for this process and those that it starts; make it private."""
    os.umask(0o077)  # whatever is written holds people's faces
    # In the environment and not as an argument: workers and children inherit it.
    os.environ.setdefault("LIKENESS_DATA_DIR", str(default_data_dir()))


def default_data_dir() -> Path:
    """Return the data directory of a user who has named none."""
    if IS_CHECKOUT:
        return ROOMS / "var"

    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "likeness"


def settings(**changes: object) -> Settings:
    """Return the settings of the environment, with `changes` from the command line.

    Raises pydantic's ValidationError, which `likeness.errors` words.
    """
    # An option that was not given must not hide the environment's value.
    given = {name: value for name, value in changes.items() if value is not None}
    return Settings(**given)  # type: ignore[arg-type]


def ensure_pack(chosen: Settings) -> None:
    """Fetch and build the open pack where it is not installed yet; raises PackError."""
    # These import numpy and ONNX: only commands that need models wait for them.
    from models.packs.errors import PackMissingError
    from models.packs.pull import pull
    from models.packs.store import load_pack

    try:
        load_pack(chosen.pack, chosen.packs_root)
    except PackMissingError:
        if chosen.pack != PACK:
            # The models of any other pack may not be passed on: there is nowhere to fetch them
            # from.
            raise
        print("The models are not here yet: fetching and building them, once.", flush=True)
        pull(PACK, chosen.packs_root)

    _ensure_kernels()


def _ensure_kernels() -> None:
    """Build the kernels if there is a C compiler; everything works without them, only slower."""
    from models.inference.native.library import NotBuiltError, build

    # No message is needed: `likeness doctor` says whether they are used.
    with suppress(NotBuiltError):
        build()
