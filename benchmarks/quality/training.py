"""Bar of the open pack's size: parameters, multiply-adds, bytes, the price of placing a texture."""

from __future__ import annotations

import time

import cv2
import numpy as np

from benchmarks.bar import Figure, bar
from models.inference.texture.face_texture import CanonicalFace
from models.networks.body_layers import specialised_shapes
from models.networks.cover_net import CoverNet, count_cover_multiply_adds
from models.networks.idn import IDN, count_multiply_adds
from models.networks.iim import OpenIIM
from models.training.dataset import CANONICAL
from tests.material import ROOT

COMMITTED = ROOT / "models" / "packs" / "open"
# The fastest of two hundred: what the work costs when nothing disturbs it.
PLACINGS = 200


@bar("M-2")
def the_open_packs_networks_are_small() -> Figure:
    """Parameters and multiply-adds of IDN and IIM, bytes committed, and the time to place a texture
    on one core.
    """
    idn = IDN(6, "blend")
    iim = OpenIIM(6)
    specialised = sum(int(np.prod(shape)) for shape in specialised_shapes(6).values())
    shared = sum(p.numel() for network in (idn, CoverNet()) for p in network.parameters())
    parameters = specialised + shared
    multiply_adds = count_multiply_adds(6, "blend") + count_cover_multiply_adds()
    iim_parameters = sum(p.numel() for p in iim.parameters())
    committed_mb = sum(path.stat().st_size for path in COMMITTED.iterdir()) / 1e6
    placing_ms = _placing_ms()
    print(
        f"IDN and cover network {parameters / 1e6:.3f} M (<= .51), {multiply_adds / 1e9:.4f} G"
        " multiply-adds (<= .34)"
    )
    print(f"IIM {iim_parameters / 1e6:.2f} M (<= 8), committed {committed_mb:.1f} MB (<= 16)")
    print(
        f"placing a texture {placing_ms:.2f} ms (<= 3), CPU time of one thread, fastest of"
        f" {PLACINGS}"
    )
    # The paper's network has half a million numbers; ours is held to the same.
    small = parameters <= 0.51e6 and multiply_adds <= 0.34e9 and iim_parameters <= 8e6

    return Figure(
        placing_ms,
        "ms a placing",
        "<= 3, sizes as printed",
        small and committed_mb <= 16 and placing_ms <= 3,
    )


def _placing_ms() -> float:
    canonical = CanonicalFace.load(CANONICAL)
    # Noise: placing costs the same whatever it places.
    random = np.random.default_rng(0)
    texture, target = random.integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    mesh = np.ascontiguousarray(canonical.mesh[:, :2])
    # As in a worker, where other threads decode and encode.
    cv2.setNumThreads(1)
    times = []

    for _ in range(PLACINGS):
        start = time.thread_time()
        canonical.place(texture, mesh, target, mesh)
        times.append(time.thread_time() - start)

    return min(times) * 1e3
