"""The engine and the demo people, loaded once for all bars of a run."""

from __future__ import annotations

from functools import cache

import cv2

from models.inference.engine import FaceSwapEngine
from models.inference.painting.face_painter import Identity
from models.inference.runtime import Device
from models.packs.store import load_pack
from tests.material import PACKS
from tests.models.demo_media import portrait


def engine(device: Device = "cpu") -> FaceSwapEngine:
    """Return the engine with the open pack, on one OpenCV thread."""
    return _engine(device)


def enrolled(person: str, device: Device = "cpu") -> Identity:
    """Return a demo person, registered from their neutral portrait and ready to swap."""
    return _enrolled(person, device)


@cache
def _engine(device: Device) -> FaceSwapEngine:
    cv2.setNumThreads(1)
    return FaceSwapEngine.load(load_pack("open", PACKS), device=device)


@cache
def _enrolled(person: str, device: Device) -> Identity:
    loaded = engine(device)
    code = loaded.register([portrait(f"{person}_neutral")]).code
    return loaded.identity(person, code, loaded.specialise(code))
