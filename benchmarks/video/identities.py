"""Bar P-11: many identities in one process, with the default runtime and with OpenVINO."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bar import Figure, bar
from benchmarks.quality.loaded import engine as plain_engine
from benchmarks.quality.loaded import enrolled
from benchmarks.video.costs import in_a_child
from models.inference.engine import FaceSwapEngine
from models.inference.frames.i420 import I420Frame
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.openvino_runtime import graphs_compiled, openvino_obstacle
from models.inference.options import FaceSelector, SwapOptions
from models.inference.runtime import Device
from models.inference.swapping.selection import Assignment
from tests.models.demo_media import SOLO, copied, frames_of

MANY = 100
MOST_MB = 3.0
MOST_READY_MS = 50.0  # what compiling a graph for one identity took: none may take as long


@dataclass(frozen=True)
class Crowd:
    """What a hundred identities took: memory of each, time until one is ready, models loaded."""

    mb_each: float
    ready_ms: float
    loaded: int

    @property
    def holds(self) -> bool:
        return self.mb_each <= MOST_MB and self.ready_ms < MOST_READY_MS and not self.loaded


@bar("P-11")
def a_hundred_identities_share_what_is_loaded() -> Figure:
    """A hundred identities, each from its stored code and weights, one after another and kept."""
    devices: list[Device] = ["cpu"]
    if obstacle := openvino_obstacle():
        print(f"without OpenVINO: {obstacle}")
    else:
        devices.append("openvino")

    stored = _stored()
    crowds = {device: in_a_child(crowd, device, stored) for device in devices}
    for device, one in crowds.items():
        print(
            f"{device}: {one.mb_each:.2f} MB each, ready after {one.ready_ms:.1f} ms (median),"
            f" {one.loaded} models loaded or compiled"
        )

    return Figure(
        max(one.mb_each for one in crowds.values()),
        "MB each",
        f"<= {MOST_MB:.0f}, none loaded or compiled",
        all(one.holds for one in crowds.values()),
    )


def _stored() -> tuple[bytes, bytes]:
    identity = enrolled("ada")
    weights = plain_engine().specialise(identity.code)
    return identity.code.to_bytes(), weights.to_bytes()


def crowd(device: Device, stored: tuple[bytes, bytes]) -> Crowd:
    """Swap one frame of a video by each of a hundred identities, and keep them all."""
    engine = FaceSwapEngine.load(plain_engine().pack, device=device, max_sessions=MANY + 1)
    (frame,) = frames_of(SOLO, 1)
    # The first one of all pays for what is loaded once.
    _swap(engine, "first", stored, frame)
    loaded = engine.counters.models_loaded + graphs_compiled()
    gc.collect()
    before_kib = _resident_kib()
    times = [_swap(engine, f"{index}", stored, frame) for index in range(MANY)]
    gc.collect()

    return Crowd(
        mb_each=(_resident_kib() - before_kib) / 1024 / MANY,
        ready_ms=statistics.median(times),
        loaded=engine.counters.models_loaded + graphs_compiled() - loaded,
    )


def _swap(engine: FaceSwapEngine, key: str, stored: tuple[bytes, bytes], frame: I420Frame) -> float:
    """Return the milliseconds of CPU until the identity was ready; then swap a frame by it."""
    began = time.process_time()
    code = IdentityCode.from_bytes(stored[0])
    identity = engine.identity(key, code, SpecialisedWeights.from_bytes(stored[1]))
    ready_ms = (time.process_time() - began) * 1e3

    sequence = engine.sequence([Assignment(FaceSelector(), identity)], SwapOptions())
    sequence.swap(copied(frame), 0.0)
    return ready_ms


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])
