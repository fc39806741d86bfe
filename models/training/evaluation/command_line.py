"""What every command that measures an installed pack takes from the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2


def pack_arguments(description: str | None) -> argparse.ArgumentParser:
    """Return a parser that knows which pack is measured, and where the training material lies.

    OpenCV is kept to one thread, as in production: its own would compete with ONNX Runtime's.
    """
    cv2.setNumThreads(1)
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--pack", default="open")
    parser.add_argument("--packs", type=Path, default=Path("var/packs"))
    parser.add_argument("--folder", type=Path, default=Path("var/training"))
    return parser
