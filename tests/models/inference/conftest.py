"""One engine for all tests of this directory: loading it costs more than most of them."""

from __future__ import annotations

import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.painting.face_painter import Identity
from models.packs.store import Pack
from tests.models.demo_media import portrait


@pytest.fixture(scope="session")
def engine(open_pack: Pack) -> FaceSwapEngine:
    return FaceSwapEngine.load(open_pack, device="cpu")


@pytest.fixture(scope="session")
def ada(engine: FaceSwapEngine) -> Identity:
    return enrolled(engine, "ada")


@pytest.fixture(scope="session")
def cleo(engine: FaceSwapEngine) -> Identity:
    return enrolled(engine, "cleo")


def enrolled(engine: FaceSwapEngine, person: str) -> Identity:
    code = engine.register([portrait(f"{person}_neutral")]).code
    return engine.identity(person, code, engine.specialise(code))
