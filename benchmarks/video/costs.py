"""What a way of swapping a video costs: clocks, and the transcodes that it is compared with."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import av
import cv2

from benchmarks.quality.loaded import engine, enrolled
from benchmarks.video.solo_video import FRAMES, video_at
from models.inference.frames.i420 import I420Frame
from models.inference.options import FaceSelector, FrameReport, SequenceReport, SwapOptions
from models.inference.runtime import Device
from models.inference.swapping.selection import Assignment
from worker.process.child_process import NATIVE_LIBRARIES
from worker.settings import MediaLimits
from worker.video.encoder import EncoderSettings
from worker.video.plan import plan_video
from worker.video.segments import (
    OutputSettings,
    SegmentOutcome,
    Swapper,
    swap_segment,
)
from worker.video.video import Video

R = TypeVar("R")


# Three rounds and the cheapest of them: what the work costs when nothing disturbs it.
ROUNDS = 3


LIMITS = MediaLimits()


class Untouched:
    """Stands where the engine stands and leaves every frame as it is: what remains is a
    transcode.
    """

    def take(
        self, _frame: I420Frame, _time_s: float, *, is_shown: bool = True
    ) -> list[FrameReport]:
        return [FrameReport((), 0.0, 0.0, 0.0)] if is_shown else []

    def finish(self) -> list[FrameReport]:
        return []

    def report(self) -> SequenceReport:
        return SequenceReport((), 0, 0, 0)


@dataclass(frozen=True)
class Cost:
    """What one frame cost: CPU milliseconds of the whole process, and milliseconds on the clock."""

    cpu_ms: float
    wall_ms: float
    outcome: SegmentOutcome | None = None


def swapper(device: Device = "cpu") -> Swapper:
    chosen = [Assignment(FaceSelector(), enrolled("ada", device))]
    return engine(device).sequence(chosen, SwapOptions())


def through_pipeline(source: Path, make: Callable[[], Swapper], folder: Path) -> Cost:
    """Return the cost of our own path with what `make` gives in its middle."""
    settings = OutputSettings()
    middle = make()

    with Video.open(source, LIMITS) as video:
        segment = plan_video(video).segments[0]
        cpu = process_cpu_s()
        clock = time.perf_counter()
        outcome = swap_segment(video, segment, folder / "out.nut", middle, settings, lambda _: None)

    # Frames per millisecond turn seconds into milliseconds a frame.
    frames_per_ms = outcome.frames / 1e3
    return Cost(
        (process_cpu_s() - cpu) / frames_per_ms,
        (time.perf_counter() - clock) / frames_per_ms,
        outcome,
    )


def plain_transcode(source: Path, folder: Path) -> Cost:
    """Decode and encode in one loop with as many threads as FFmpeg and x264 like: nobody's pipeline
    but theirs.
    """
    cpu = process_cpu_s()
    clock = time.perf_counter()
    frames = 0
    # As many threads as FFmpeg takes by itself.
    options = EncoderSettings().options() | {"threads": "0"}

    with av.open(str(source)) as container, av.open(str(folder / "plain.mp4"), "w") as output:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        stream = output.add_stream("libx264", video.average_rate, options=options)
        stream.width = video.width
        stream.height = video.height

        for frame in container.decode(video):
            frame.pict_type = 0
            output.mux(stream.encode(frame))
            frames += 1

        output.mux(stream.encode(None))

    return Cost(
        (process_cpu_s() - cpu) / frames * 1e3, (time.perf_counter() - clock) / frames * 1e3
    )


def ffmpeg_transcode(source: Path, folder: Path) -> Cost | None:
    """Transcode with the program `ffmpeg`, where it is installed: the fastest that can be had."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None

    options = [text for key, value in EncoderSettings().options().items() for text in (key, value)]
    command = [program, "-v", "error", "-y", "-i", str(source), "-an", "-c:v", "libx264"]
    keys = [f"-{text}" if index % 2 == 0 else text for index, text in enumerate(options)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    clock = time.perf_counter()
    subprocess.run([*command, *keys, str(folder / "ffmpeg.mp4")], check=True, timeout=600)
    passed_s = time.perf_counter() - clock
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    with av.open(str(source)) as container:
        frames = container.streams.video[0].frames
    return Cost(cpu_s / frames * 1e3, passed_s / frames * 1e3)


def process_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # User and system time of all threads.
    return usage.ru_utime + usage.ru_stime


def cheapest(costs: Sequence[Cost]) -> Cost:
    """Least CPU and least time of several runs: what a busy machine adds is not ours."""
    return Cost(
        min(cost.cpu_ms for cost in costs), min(cost.wall_ms for cost in costs), costs[-1].outcome
    )


@dataclass(frozen=True)
class Measured:
    """The cheapest transcode of one video, and the cheapest swap of it on each device."""

    transcode: Cost
    swaps: Mapping[Device, Cost]

    def added_ms(self, device: Device) -> float:
        """Return the CPU milliseconds a frame that swapping adds to the transcode."""
        return self.swaps[device].cpu_ms - self.transcode.cpu_ms


def measured(
    height: int,
    rounds: int = ROUNDS,
    grain: float = 0.0,
    devices: Sequence[Device] = ("cpu",),
    count: int = FRAMES,
) -> Measured:
    """Measure the solo video's first frames at this height and with this grain, all ways in
    turn, on two cores.
    """
    use_two_cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = video_at(height, folder, grain, count)
        transcodes: list[Cost] = []
        swaps: dict[Device, list[Cost]] = {device: [] for device in devices}

        # In turns, so that a busy machine slows all.
        for _ in range(rounds):
            transcodes += [
                through_pipeline(source, Untouched, folder),
                plain_transcode(source, folder),
            ]
            if program := ffmpeg_transcode(source, folder):
                transcodes.append(program)

            for device in devices:
                cost = through_pipeline(source, partial(swapper, device), folder)
                swaps[device].append(cost)

    return Measured(
        cheapest(transcodes), {device: cheapest(costs) for device, costs in swaps.items()}
    )


def in_a_child(measure: Callable[..., R], *arguments: object) -> R:
    """Measure in a fresh process, its libraries set as in a worker's child."""
    os.environ.update(NATIVE_LIBRARIES)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(measure, *arguments).result()


def use_two_cores() -> None:
    # Two cores whatever the machine has: figures of two machines can then be compared.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    cv2.setNumThreads(1)
