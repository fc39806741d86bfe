"""The engine and the demo people, loaded once for all bars of a run."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import cv2

from models.inference.engine import FaceSwapEngine
from models.inference.painting.face_painter import Identity
from models.packs.store import load_pack
from tests.models.clips import portrait

CHECKOUT = Path(__file__).parents[2]


@cache
def engine() -> FaceSwapEngine:
    cv2.setNumThreads(1)
    root = Path(os.environ.get("LIKENESS_DATA_DIR", CHECKOUT / "var")) / "packs"
    return FaceSwapEngine.load(load_pack("open", root), device="cpu")


@cache
def enrolled(person: str) -> Identity:
    code = engine().register([portrait(f"{person}_neutral")]).code
    return engine().identity(person, code, engine().specialise(code))


def shared() -> Path:
    return Path(os.environ.get("LIKENESS_SHARED", CHECKOUT.parent / "shared"))
