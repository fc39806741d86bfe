from __future__ import annotations

import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.painting.occlusion import CoverFinder


@pytest.fixture(scope="module")
def finder(engine: FaceSwapEngine) -> CoverFinder:
    """The pack's own cover network."""
    assert engine.painter.cover is not None
    return engine.painter.cover
