"""Bars P-3, P-4 and P-8: the price of a swap beside a pure transcode, and memory over length."""

from __future__ import annotations

import resource
import tempfile
from fractions import Fraction
from pathlib import Path

from av.video.frame import VideoFrame

from benchmarks.bar import Figure, bar
from benchmarks.video.costs import (
    LIMITS,
    ROUNDS,
    in_a_child,
    measured,
    swapper,
    use_two_cores,
)
from benchmarks.video.solo_video import decoded, encoded
from models.inference.openvino_runtime import openvino_obstacle
from models.inference.runtime import Device
from tests.models.demo_media import SOLO
from worker.video.plan import plan_video
from worker.video.segments import (
    OutputSettings,
    join_segments,
    swap_segment,
)
from worker.video.video import Video

GRAIN = 4.0  # levels: what a phone's sensor leaves indoors
# By grain and lines: a transcode costs more with either, the face no more than before.
MOST_ADDED = {(0.0, 720): 1.0, (0.0, 1080): 0.5, (GRAIN, 720): 0.4, (GRAIN, 1080): 0.25}
MOST_ADDED_OPENVINO = {(0.0, 720): 0.75, (0.0, 1080): 0.4}
LEAST_SHARE = {0.0: 0.5, GRAIN: 0.7}


@bar("P-3")
def swapping_adds_little_to_a_transcode() -> Figure:
    """CPU time that swapping one face adds to a transcode with the same encoder settings, of a
    clean and of a grainy video, at 720 and 1080 lines; with OpenVINO, where it can be used, too.
    """
    devices: tuple[Device, ...] = ("cpu",) if openvino_obstacle() else ("cpu", "openvino")
    added: dict[Device, dict[tuple[float, int], float]] = {device: {} for device in devices}

    for grain, height in MOST_ADDED:
        # Measured in a process of its own, on two cores, as a worker would run.
        costs = in_a_child(measured, height, ROUNDS, grain, devices)
        for device in devices:
            share = costs.added_ms(device) / costs.transcode.cpu_ms
            added[device][grain, height] = share
            print(
                f"{height}p, grain {grain:.0f}, {device}: transcode {costs.transcode.cpu_ms:.1f}"
                f" CPU ms a frame, the swap adds {costs.added_ms(device):.1f} ms, {share:.2f} times"
                " as much"
            )

    if "openvino" in added:
        fast = [added["openvino"][case] for case in MOST_ADDED_OPENVINO]
        print(f"with OpenVINO {fast[0]:.2f} / {fast[1]:.2f} on the clean video (.75 / .40 wanted)")

    # The bar is the default installation's.
    return Figure(
        " / ".join(f"{value:.2f}" for value in added["cpu"].values()),
        "x transcode: clean 720p / 1080p, grainy 720p / 1080p",
        "<= " + " / ".join(f"{most:.2f}" for most in MOST_ADDED.values()),
        all(value <= MOST_ADDED[case] for case, value in added["cpu"].items()),
    )


@bar("P-4")
def frame_rate_is_near_that_of_a_transcode() -> Figure:
    """End-to-end frames per second at 720 lines on two cores, beside the best pure transcode of the
    same run (FFmpeg's own program among them, where it is installed), clean and grainy.
    """
    shares = {}
    for grain in LEAST_SHARE:
        # Five rounds: clocks on the wall vary more than CPU time.
        costs = in_a_child(measured, 720, 5, grain)
        transcode_ms = costs.transcode.wall_ms
        swap_ms = costs.swaps["cpu"].wall_ms
        shares[grain] = transcode_ms / swap_ms
        print(
            f"grain {grain:.0f}: best transcode {1e3 / transcode_ms:.1f} fps, with swap"
            f" {1e3 / swap_ms:.1f} fps"
        )

    return Figure(
        " / ".join(f"{share:.2f}" for share in shares.values()),
        "of the best transcode's fps, clean / grainy",
        ">= " + " / ".join(f"{least:.2f}" for least in LEAST_SHARE.values()),
        all(share >= LEAST_SHARE[grain] for grain, share in shares.items()),
    )


@bar("P-8")
def memory_does_not_grow_with_length() -> Figure:
    """Peak memory of a process that swaps a 10 min video, beside one that swaps 10 s (480x270, 4
    frames a second).
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = [looped_video(folder / f"{seconds}.mp4", seconds) for seconds in (10, 600)]
        growths = []

        # What a heap holds on to differs from run to run.
        for _ in range(3):
            short, long = (in_a_child(peak_mib, one) for one in videos)
            growths.append(long / short)
            print(f"10 s: {short:.0f} MiB, 10 min: {long:.0f} MiB")

    worst = max(growths)
    return Figure(worst, "x the short video's peak, worst of three", "<= 1.1", worst <= 1.1)


def looped_video(path: Path, seconds: int) -> Path:
    """Return the solo video there and back again, for as long as asked."""
    frames = [frame.to_ndarray() for frame in decoded(SOLO, 100, (480, 270))]
    # There and back again, so that no frame jumps.
    turns = [*range(100), *range(98, 0, -1)]
    order = (frames[turns[index % len(turns)]] for index in range(seconds * 4))
    images = (VideoFrame.from_ndarray(frame, "yuv420p") for frame in order)
    # Four frames a second: ten minutes are 2,400 frames, small enough to be measured in minutes.
    return encoded(path, images, Fraction(4), {"preset": "ultrafast", "crf": "23", "g": "12"})


def peak_mib(source: Path) -> float:
    """Swap a whole video, segment by segment, and join it; the process's peak memory in MiB."""
    use_two_cores()
    settings = OutputSettings()
    output = source.with_suffix(".out.mp4")

    with Video.open(source, LIMITS) as video:
        plan = plan_video(video)
        paths = [source.with_suffix(f".{segment.index}.nut") for segment in plan.segments]

        # Part by part with a new swapper each, as a worker does it.
        for segment, path in zip(plan.segments, paths, strict=True):
            swap_segment(video, segment, path, swapper(), settings, lambda _: None)

        join_segments(video, plan, paths, output, settings, lambda _: None)

    # The kernel's own peak, in KiB.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
