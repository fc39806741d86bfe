"""Checkpoints with the released files' keys and sizes, and random numbers in them."""

from __future__ import annotations

import csv
import functools
import hashlib
import json
import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.packs.pull import manifest_text

CONDITIONER = "conditioner_224"
ARCFACE = "arcface"


@dataclass(frozen=True)
class Key:
    paddle: str
    shape: tuple[int, ...]
    torch: str
    torch_shape: tuple[int, ...]
    transposed: bool


def keys(name: str) -> list[Key]:
    with (Path(__file__).parent / f"keys_{name}.tsv").open() as file:
        return [
            Key(
                row["paddle_key"],
                tuple(json.loads(row["paddle_shape"])),
                row["torch_key"],
                tuple(json.loads(row["torch_shape"])),
                row["transpose"] == "T",
            )
            for row in csv.DictReader(file, delimiter="\t")
        ]


@functools.cache
def synthetic(name: str) -> OrderedDict[str, NDArray[np.float32]]:
    random = np.random.default_rng(0)
    return OrderedDict((key.paddle, _values(random, key)) for key in keys(name))


def _values(random: np.random.Generator, key: Key) -> NDArray[np.float32]:
    values = random.standard_normal(key.shape, np.float32)
    if key.paddle.endswith("_variance"):
        return 1 + 0.1 * np.abs(values)
    if len(key.shape) > 1:
        fan_in = key.shape[0] if len(key.shape) == 2 else int(np.prod(key.shape[1:]))
        return np.asarray(values / np.sqrt(fan_in), np.float32)

    gain = key.paddle.endswith(
        ("norm.weight", "bn0.weight", "bn1.weight", "bn2.weight", "bn3.weight")
    )
    return np.asarray(gain + 0.1 * values, np.float32)


def pickled(arrays: object) -> bytes:
    return pickle.dumps(arrays, protocol=4)


def manifest_for(files: dict[str, bytes]) -> str:
    """Return the official manifest with the sizes and hashes of these files in place of the
    released ones'.
    """
    text = manifest_text("official")
    released = {
        "MobileFaceSwap_224.pdparams": (
            82834948,
            "ee51a18684d2862363deefde14220d7e7eb33b78b5b1840e1a76566a7f3508fb",
        ),
        "arcface.pdparams": (
            209017341,
            "adc5d94075fc2f8ad93ba1040310b97f604843d03c82ecf3a4bdb86af658ca3b",
        ),
    }

    for name, (size, sha256) in released.items():
        text = text.replace(f"bytes = {size}", f"bytes = {len(files[name])}")
        text = text.replace(sha256, hashlib.sha256(files[name]).hexdigest())

    return text
