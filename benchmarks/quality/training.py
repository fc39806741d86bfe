"""Bars of the open pack's weights, measured through the production engine on people it was never
trained on.

Source, target and gallery are photographs of the `eval` split of the shared measuring material; a
source is registered from one photo, and the gallery holds another photo of the same person wherever
there is one.
"""

from __future__ import annotations

import time
from functools import cache

import cv2
import numpy as np

from benchmarks.bar import Figure, bar
from benchmarks.stack import PACKS, ROOT
from models.inference.texture.face_texture import CanonicalFace
from models.networks.idn import IDN, count_multiply_adds, specialised_shapes
from models.networks.iim import OpenIIM
from models.packs.store import load_pack
from models.training.dataset import CANONICAL
from models.training.evaluation.evaluate import Figures
from models.training.evaluation.evaluate_pack import PackSwaps

COMMITTED = ROOT / "models" / "packs" / "open"
PLACINGS = 200


@bar("Q-10")
def sources_are_recognised_in_their_swaps() -> Figure:
    """Sources retrieved first among all evaluation people by the independent encoder, from another
    photo of theirs.
    """
    found = measured()
    print(
        f"mean cosine to that photo {found.cosine_source:.3f} (>= .50), to target"
        f" {found.cosine_target:.3f} (<= .20)"
    )
    holds = found.retrieved >= 0.95 and found.cosine_source >= 0.50 and found.cosine_target <= 0.20
    return Figure(found.retrieved, "retrieved first", ">= .95, cosines >= .50 and <= .20", holds)


@bar("Q-11")
def swaps_keep_the_targets_pose_and_expression() -> Figure:
    """Mean distance of the mesh's points to the target's, and of the mouth's opening, over the eye
    distance.
    """
    found = measured()
    print(f"mouth opening error {found.mouth:.4f} (<= .028)")
    holds = found.landmarks <= 0.033 and found.mouth <= 0.028
    return Figure(found.landmarks, "of the eye distance", "<= .033, mouth <= .028", holds)


@bar("Q-12")
def swaps_are_as_sharp_as_their_targets() -> Figure:
    """High-frequency energy inside the face relative to the target's, at the template's 224 px
    scale, after pasting.
    """
    found = measured()
    return Figure(found.sharpness, "x target", ".75 to 1.2", 0.75 <= found.sharpness <= 1.2)


@bar("Q-13")
def swaps_leave_the_rest_alone_and_keep_the_light() -> Figure:
    """L1 outside the mesh's mask, and the shift of colour and of the low frequencies inside it."""
    found = measured()
    print(
        f"shift of the mean colour {found.colour:.4f}, of the light's low frequencies"
        f" {found.light:.4f} (<= .04)"
    )
    holds = found.outside <= 0.003 and max(found.colour, found.light) <= 0.04
    return Figure(found.outside, "L1 outside the mask", "<= .003, shifts <= .04", holds)


@bar("M-2")
def the_open_packs_networks_are_small() -> Figure:
    """Parameters and multiply-adds of IDN and IIM, bytes committed, and the time to place a texture
    on one core.
    """
    idn, iim = IDN(6, "blend"), OpenIIM(6)
    specialised = sum(int(np.prod(shape)) for shape in specialised_shapes(6).values())
    parameters = specialised + sum(p.numel() for p in idn.parameters())
    multiply_adds = count_multiply_adds(6, "blend")
    iim_parameters = sum(p.numel() for p in iim.parameters())
    committed_mb = sum(path.stat().st_size for path in COMMITTED.iterdir()) / 1e6
    placing_ms = _placing_ms()
    print(
        f"IDN {parameters / 1e6:.3f} M (<= .51), {multiply_adds / 1e9:.4f} G multiply-adds (<= .34)"
    )
    print(f"IIM {iim_parameters / 1e6:.2f} M (<= 8), committed {committed_mb:.1f} MB (<= 16)")
    print(
        f"placing a texture {placing_ms:.2f} ms (<= 3), CPU time of one thread, fastest of"
        f" {PLACINGS}"
    )
    small = parameters <= 0.51e6 and multiply_adds <= 0.34e9 and iim_parameters <= 8e6
    return Figure(
        placing_ms,
        "ms a placing",
        "<= 3, sizes as printed",
        small and committed_mb <= 16 and placing_ms <= 3,
    )


@cache
def measured() -> Figures:
    """The figures of the installed open pack over all pairs of the evaluation."""
    return PackSwaps(load_pack("open", PACKS), ROOT / "var" / "training").figures()


def _placing_ms() -> float:
    canonical = CanonicalFace.load(CANONICAL)
    random = np.random.default_rng(0)
    texture, target = random.integers(0, 256, (2, 224, 224, 3)).astype(np.uint8)
    mesh = np.ascontiguousarray(canonical.mesh[:, :2])
    cv2.setNumThreads(1)
    times = []
    for _ in range(PLACINGS):
        start = time.thread_time()
        canonical.place(texture, mesh, target, mesh)
        times.append(time.thread_time() - start)
    return min(times) * 1e3
