"""The kernels built, and a way to do without them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from models.inference.native import library
from models.inference.native.kernels import Kernels, kernels


@pytest.fixture(scope="session")
def native() -> Kernels:
    """The kernels; tests that need them are skipped where there is no compiler."""
    try:
        library.build()
    except library.NotBuiltError as error:
        pytest.skip(str(error))

    forget()
    built = kernels()
    assert built is not None
    return built


@contextmanager
def in_numpy() -> Iterator[None]:
    """Have everything done without kernels, as where no compiler was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(library.SWITCH, "off")
        forget()
        assert kernels() is None
        yield

    forget()


def forget() -> None:
    library.library.cache_clear()
    kernels.cache_clear()
