"""The measuring material beside the checkout, and the installed open pack."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.packs.errors import PackError
from models.packs.store import Pack, load_pack

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared measuring material; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("LIKENESS_SHARED", CHECKOUT.parent / "shared"))
    if not (folder / "eval").is_dir():
        pytest.skip("the shared measuring material is not here")
    return folder


@pytest.fixture(scope="session")
def open_pack() -> Pack:
    """The open pack as `make setup` installs it."""
    root = Path(os.environ.get("LIKENESS_DATA_DIR", CHECKOUT / "var")) / "packs"
    try:
        return load_pack("open", root)
    except PackError as error:
        pytest.fail(error.message)
