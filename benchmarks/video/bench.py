"""`make bench`: one table of what swapping a 720p video costs here, beside naive ways and heavier
generators.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.quality.loaded import engine, enrolled
from benchmarks.video.costs import (
    Cost,
    Untouched,
    cheapest,
    decoded,
    encoded,
    plain_transcode,
    process_cpu_s,
    swapper,
    through_pipeline,
    use_two_cores,
)
from benchmarks.video.peers import like_inswapper_128, like_simswap_224
from models.inference.arrays import Mask, RgbImage, to_network
from models.inference.finding.alignment import TEMPLATE_SIZE
from models.inference.frames.still_frame import StillFrame
from models.inference.options import FaceSelector, SwapOptions
from models.inference.session import Network, SessionFactory
from models.inference.swapping.selection import Assignment
from tests.models.clips import SOLO
from worker.video.encoder import EncoderSettings

STAGES = ("decode", "detect", "swap", "blend", "encode")


@dataclass(frozen=True)
class PeerSwapper:
    """A generator of another size in our swapper's place.

    Its image is noise, its price is real.
    """

    network: Network
    size: int

    def swap(self, target: RgbImage, _texture: RgbImage | None) -> tuple[RgbImage, Mask]:
        self.network(to_network(cv2.resize(target, (self.size, self.size)).astype(np.uint8)))
        return target, np.ones((TEMPLATE_SIZE, TEMPLATE_SIZE), np.float32)


@bar("bench")
def what_swapping_a_video_costs() -> Figure:
    """Frames per second and CPU milliseconds a frame at 720p on two cores, by way of doing it."""
    use_two_cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        costs = {
            "pure transcode, x264 veryfast crf 20": best(3, lambda: transcode(folder)),
            # The cheapest of three: a transcode is the measure of everything else.
            "Likeness, one face": best(3, lambda: through_pipeline(SOLO, swapper, folder)),
            "naive: detect each frame, whole-frame paste": naive(folder),
            "Likeness with a SimSwap-224-size generator": with_peer(
                # Few frames: a generator of that size takes a second for each.
                folder,
                like_simswap_224,
                224,
                12,
            ),
            "Likeness with an inswapper-128-size generator": with_peer(
                folder, like_inswapper_128, 128, 6
            ),
        }

    print_table(costs)
    transcode_ms, ours = (cost.cpu_ms for cost in list(costs.values())[:2])
    return Figure(ours / transcode_ms, "x the CPU of a transcode", "a table, no bar", True)


def best(rounds: int, measure: Callable[[], Cost]) -> Cost:
    return cheapest([measure() for _ in range(rounds)])


def transcode(folder: Path) -> Cost:
    """Return the cheaper of our own pipeline with nothing in its middle and FFmpeg's plain loop."""
    ours = through_pipeline(SOLO, Untouched, folder)
    return replace(cheapest([ours, plain_transcode(SOLO, folder)]), outcome=ours.outcome)


def with_peer(folder: Path, write: Callable[[Path], Path], size: int, frames: int) -> Cost:
    """Our pipeline with another generator, on the clip's first frames."""
    source = encoded(
        # As the frames come from a phone: H.264 that is nearly without loss.
        folder / f"{size}.mp4",
        decoded(SOLO, frames, (1280, 720)),
        Fraction(30),
        {"crf": "18"},
    )
    network = SessionFactory("cpu", 1).open(write(folder / f"{size}.onnx"))
    identity = replace(enrolled("ada"), key=f"peer{size}", swapper=PeerSwapper(network, size))  # type: ignore[arg-type]
    return through_pipeline(
        source,
        lambda: engine().sequence([Assignment(FaceSelector(), identity)], SwapOptions()),
        folder,
    )


class Naive:
    """What one writes first: every frame to BGR, faces sought afresh, the whole image blended in
    floats.
    """

    def swap(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a swapped copy of a BGR frame."""
        out = frame
        still = StillFrame(frame)

        for found in engine().detector.find(still):
            face = engine().mesh.settle(still, found)
            painted = engine().painter.paint(still, face.landmarks, enrolled("ada"), SwapOptions())
            # The whole frame, however small the face.
            size = frame.shape[1], frame.shape[0]
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            crop = cv2.cvtColor(painted.face, cv2.COLOR_RGB2BGR)
            placed = cv2.warpAffine(crop, painted.to_crop, size, flags=flags).astype(np.float32)
            mask = cv2.warpAffine(painted.mask, painted.to_crop, size, flags=flags)[..., None]
            out = (
                (mask * placed + (1 - mask) * out.astype(np.float32)).clip(0, 255).astype(np.uint8)
            )

        return out


def naive(folder: Path, frames: int = 45) -> Cost:
    """Return the cost of the naive way, one thing after the other, on the clip's first frames."""
    way = Naive()
    cpu = process_cpu_s()
    clock = time.perf_counter()

    with av.open(str(folder / "naive.mp4"), "w") as output:
        # The same encoder settings for all, or the table would compare encoders.
        stream = output.add_stream("libx264", 30, options=EncoderSettings().options())
        stream.width = 1280
        stream.height = 720

        for frame in decoded(SOLO, frames, (1280, 720)):
            image = way.swap(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            output.mux(
                stream.encode(av.VideoFrame.from_ndarray(image, "bgr24").reformat(format="yuv420p"))
            )

        output.mux(stream.encode(None))

    return Cost(
        (process_cpu_s() - cpu) / frames * 1e3, (time.perf_counter() - clock) / frames * 1e3
    )


def print_table(costs: dict[str, Cost]) -> None:
    """Print a Markdown table.

    Stages are milliseconds on the clock while the others run beside them.
    """
    transcode = next(iter(costs.values()))
    print(f"\n{machine()}\n")
    print(
        "| 1280x720, one face | fps | of a transcode's | CPU ms/frame | x transcode | "
        + " | ".join(STAGES)
        + " |"
    )

    print("| --- " * (5 + len(STAGES)) + "|")
    for name, cost in costs.items():
        share = transcode.wall_ms / cost.wall_ms
        times = cost.cpu_ms / transcode.cpu_ms
        figures = f"{1e3 / cost.wall_ms:.1f} | {share:.2f} | {cost.cpu_ms:.1f} | {times:.2f}"
        print(f"| {name} | {figures} | " + " | ".join(stages(cost)) + " |")


def stages(cost: Cost) -> list[str]:
    """Milliseconds a frame by stage, a dash where they were not told apart."""
    if cost.outcome is None:
        return ["-"] * len(STAGES)

    # The engine's own clocks, which run while other stages run beside them.
    engine_ms = cost.outcome.engine_ms
    times = cost.outcome.times
    sums = {"decode": times.decode_s * 1e3, "encode": times.encode_s * 1e3}
    sums |= {stage: engine_ms.get(f"{stage}_ms", 0.0) for stage in ("detect", "swap", "blend")}
    return [f"{sums[stage] / cost.outcome.frames:.1f}" for stage in STAGES]


def machine() -> str:
    """Return the processor's name, and that two cores of it are used."""
    names = [line for line in _cpu_lines() if line.startswith("model name")]
    return (
        f"{names[0].partition(':')[2].strip() if names else platform.processor()}, two cores, CPU"
        " only"
    )


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []
