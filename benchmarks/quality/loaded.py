"""The engine and the demo people, loaded once for all bars of a run."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import cv2

from models.inference.engine import FaceSwapEngine
from models.inference.painting.face_painter import Identity
from models.inference.runtime import Device
from models.packs.store import load_pack
from tests.models.clips import portrait

CHECKOUT = Path(__file__).parents[2]


def engine(device: Device = "cpu") -> FaceSwapEngine:
    return _engine(device)


def enrolled(person: str, device: Device = "cpu") -> Identity:
    return _enrolled(person, device)


@cache
def _engine(device: Device) -> FaceSwapEngine:
    cv2.setNumThreads(1)
    root = Path(os.environ.get("LIKENESS_DATA_DIR", CHECKOUT / "var")) / "packs"
    return FaceSwapEngine.load(load_pack("open", root), device=device)


@cache
def _enrolled(person: str, device: Device) -> Identity:
    loaded = engine(device)
    code = loaded.register([portrait(f"{person}_neutral")]).code
    return loaded.identity(person, code, loaded.specialise(code))


def shared() -> Path:
    return Path(os.environ.get("LIKENESS_SHARED", CHECKOUT.parent / "shared"))
