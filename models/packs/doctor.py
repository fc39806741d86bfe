"""Compares a pack's files with what was installed, runs every graph once as production opens it,
and says what is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.inference.arrays import Tensor
from models.inference.session import Network, SessionFactory
from models.packs.integrity import corrupt_files
from models.packs.store import Pack


@dataclass(frozen=True)
class Finding:
    """One graph: how long it took to open and to run once, or what kept it from running."""

    role: str
    open_ms: float = 0.0
    run_ms: float = 0.0
    problem: str = ""


def examine(pack: Pack, sessions: SessionFactory) -> Iterator[Finding]:
    """Yield a finding for each damaged file, then for each graph of the pack.

    The IDN runs with the weights that the IIM gives.
    """
    for name in corrupt_files(pack):
        yield Finding(name, problem=f"is damaged; run: likeness packs pull {pack.name}")

    weights: dict[str, Tensor] = {}
    for file in pack.manifest.files:
        if not file.file.endswith(".onnx"):
            continue

        started = time.perf_counter()
        try:
            path = pack.root / file.file
            network = (
                sessions.open_specialised(path, weights)
                if file.role == "idn"
                # The swap network is a graph without its specialised weights: they are handed in
                # when it opens.
                else sessions.open(path)
            )

            opened = time.perf_counter()
            outputs = network(*_inputs(network))
            finished = time.perf_counter()
            _require_finite(outputs)
        except Exception as error:  # noqa: BLE001  the outermost loop: whatever breaks is the finding
            yield Finding(file.role, problem=f"{type(error).__name__}: {error}")
            continue

        if file.role == "iim":
            weights = outputs

        yield Finding(file.role, 1e3 * (opened - started), 1e3 * (finished - opened))


def _inputs(network: Network) -> list[Tensor]:
    # Any image will do: what is asked is whether the network runs and gives numbers.
    random = np.random.default_rng(0)
    return [random.random(shape, dtype=np.float32) for shape in network.input_shapes]


def _require_finite(outputs: dict[str, Tensor]) -> None:
    for name, value in outputs.items():
        if not np.isfinite(value).all():
            raise FloatingPointError(f"{name} is not finite")
