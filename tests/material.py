"""Where tests and bars find the demo media, the packs and the measuring material.

Packs lie where the service looks for them; the measuring material is not ours to publish and lies
beside the checkout, or nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "service" / "samples"
BANK = ROOT / "models" / "refinement" / "bank"
DATA = Path(os.environ.get("LIKENESS_DATA_DIR", ROOT / "var"))
PACKS = Path(os.environ.get("LIKENESS_PACKS_DIR", DATA / "packs"))

# What the composite people of the samples agreed to, as a registration states it.
CONSENT: Mapping[str, object] = {
    "subject": "ada",
    "basis": "consent",
    "scope": ["image", "video"],
    "granted_at": "2026-01-01T00:00:00Z",
}


def shared() -> Path:
    """Return the folder of the measuring material, which need not exist."""
    return Path(os.environ.get("LIKENESS_SHARED", ROOT.parent / "shared"))
