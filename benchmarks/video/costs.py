"""What a way of swapping a video costs: clips, clocks, and the ways that it is compared with."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame

from benchmarks.quality.loaded import engine, enrolled
from models.inference.frames.i420 import I420Frame
from models.inference.options import FaceSelector, FrameReport, SequenceReport, SwapOptions
from models.inference.swapping.selection import Assignment
from tests.models.clips import SOLO
from worker.process.child_process import ALLOCATOR
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


def swapper() -> Swapper:
    return engine().sequence([Assignment(FaceSelector(), enrolled("ada"))], SwapOptions())


def video_at(height: int, folder: Path, grain: float = 0.0, count: int = 150) -> Path:
    """Return the solo clip at this height, with a sensor's grain of so many levels.

    Clean, it costs an encoder little; few videos of cameras are as clean.
    """
    # The clip itself has 720 lines and no grain.
    if height == 720 and not grain:
        return SOLO

    path = folder / f"solo{height}_{grain:.0f}.mp4"
    frames = decoded(SOLO, count, (height * 16 // 9, height))
    if grain:
        frames = grainy(frames, grain)

    # Nearly without loss, as a phone's own file is.
    return encoded(path, frames, Fraction(30), {"preset": "veryfast", "crf": "18"})


def decoded(path: Path, count: int, size: tuple[int, int]) -> Iterator[VideoFrame]:
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == count:
                return
            yield frame.reformat(*size, format="yuv420p")


def encoded(
    path: Path, frames: Iterator[VideoFrame], rate: Fraction, options: dict[str, str]
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate, options=options)
        for index, frame in enumerate(frames):
            if index == 0:
                stream.width = frame.width
                stream.height = frame.height

            frame.pts = index
            frame.time_base = 1 / rate
            # No frame type forced: the encoder decides, as it would in production.
            frame.pict_type = 0
            container.mux(stream.encode(frame))

        container.mux(stream.encode(None))

    return path


def grainy(frames: Iterator[VideoFrame], levels: float) -> Iterator[VideoFrame]:
    """Yield the frames with noise of `levels` standard deviation, new in every frame."""
    random = np.random.default_rng(0)
    for frame in frames:
        planes = np.asarray(frame.to_ndarray(), np.float32)
        noise = random.normal(0, levels, planes.shape).astype(np.float32)
        noisy = np.asarray(np.clip(planes + noise, 0, 255), np.uint8)
        yield VideoFrame.from_ndarray(noisy, "yuv420p")


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


def measured(height: int, rounds: int = ROUNDS, grain: float = 0.0) -> tuple[Cost, Cost]:
    """Return the cheapest transcode and the cheapest swap of the solo clip at this height and with
    this grain, taken in turn, on two cores.
    """
    use_two_cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = video_at(height, folder, grain)
        transcodes = []
        swaps = []

        # In turns, so that a busy machine slows both.
        for _ in range(rounds):
            transcodes += [
                through_pipeline(source, Untouched, folder),
                plain_transcode(source, folder),
            ]
            if program := ffmpeg_transcode(source, folder):
                transcodes.append(program)

            swaps.append(through_pipeline(source, swapper, folder))

    return cheapest(transcodes), cheapest(swaps)


def in_a_child(measure: Callable[..., R], *arguments: object) -> R:
    """Measure in a fresh process with the allocator that a worker's child has."""
    # The allocator's settings that a worker's child gets, too.
    os.environ.update(ALLOCATOR)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(measure, *arguments).result()


def use_two_cores() -> None:
    # Two cores whatever the machine has: figures of two machines can then be compared.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    cv2.setNumThreads(1)
