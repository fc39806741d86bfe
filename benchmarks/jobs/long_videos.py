"""Bars R-4 and P-7: a long video survives a kill at the price of what was in flight, and spreads
over workers.
"""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av

from benchmarks.bar import Figure, bar
from benchmarks.quality.faces import register_ada, submit_swap
from benchmarks.stack import Stack, running_stack, stopwatch
from tests.material import SAMPLES
from tests.worker.workers import eventually, kill_tree
from worker.contract.jobs import JobRecord
from worker.use_cases.videos.survey_tasks import PARTS_IN_FLIGHT

# Thirty seconds at 360 lines: several segments, and small enough for two runs within minutes.
LOOPS, WIDTH, HEIGHT, RATE = 6, 640, 360, 30


def long_video(path: Path) -> Path:
    """Return the solo video six times over (30 s, 900 frames, 360p), with a key frame every five
    seconds.
    """
    with av.open(str(path), "w") as video, av.open(str(SAMPLES / "solo_720p30.mp4")) as source:
        options = {
            # A key frame every five seconds, by number: segments begin at key frames.
            "preset": "ultrafast",
            "g": str(5 * RATE),
            "keyint_min": str(5 * RATE),
            "sc_threshold": "0",
        }

        stream = video.add_stream("libx264", rate=RATE, options=options)
        stream.width = WIDTH
        stream.height = HEIGHT
        stream.pix_fmt = "yuv420p"
        frames = [frame.reformat(WIDTH, HEIGHT, "yuv420p") for frame in source.decode(video=0)]

        for number in range(LOOPS * len(frames)):
            frame = frames[number % len(frames)]
            frame.pts = number
            frame.time_base = Fraction(1, RATE)
            # No frame type forced, or the encoder would repeat the source's.
            frame.pict_type = 0
            video.mux(stream.encode(frame))

        video.mux(stream.encode(None))

    return path


@bar("R-4")
def a_video_killed_at_60_percent_computes_only_what_was_in_flight() -> Figure:
    """A 30 s video on two workers, unbroken; again with both trees killed at 60 %: segments done
    twice, bytes equal.
    """
    with stopwatch(420), running_stack() as here:
        for name in ("worker-a", "worker-b"):
            here.add_worker(name, small=False)

        here.await_workers(2)
        ada = register_ada(here)
        video = long_video(here.directory / "video.mp4")
        unbroken = here.bench.wait_for(submit_swap(here, ada, video, "swap_video"), timeout_s=180)
        broken = submit_swap(here, ada, video, "swap_video")
        # Late enough that segments are finished, early enough that some are not.
        eventually(lambda: _share(here.bench.get(broken)) >= 0.6, 180, "60 % of the video")

        # Both trees at once, as a machine's end would.
        for process in list(here.keeper.running.values()):
            kill_tree(process.pid)

        done = here.bench.wait_for(broken, timeout_s=180)
        segments = len(set(_begun(here, unbroken)))
        # Each segment's task begins once when nothing fails.
        again = len(_begun(here, broken)) - segments

    equal = done.result is not None and done.result == unbroken.result
    print(
        f"{segments} segments, done {unbroken.status} and {done.status}; computed again {again};"
        f" bytes equal: {equal}"
    )
    holds = segments > 1 and again <= PARTS_IN_FLIGHT and equal

    return Figure(
        again, "segments computed again", f"<= {PARTS_IN_FLIGHT} in flight, equal bytes", holds
    )


def _share(job: JobRecord) -> float:
    return job.progress.done / job.progress.total if job.progress.total else 0.0


def _begun(here: Stack, job: JobRecord) -> list[str]:
    tasks = [event["task"] for event in here.bench.events("attempt begun")]
    # A task of a segment is named by its job and the segment's number.
    return [task for task in tasks if task.startswith(f"{job.id}-s")]


@bar("P-7")
def two_workers_finish_a_long_video_faster() -> Figure:
    """A 30 s video on one worker, then on two with data directories of their own that share store
    and media store.
    """
    with stopwatch(420), running_stack() as here:
        ada = register_ada(here)
        video = long_video(here.directory / "video.mp4")
        here.add_worker("worker-a", small=False)
        here.await_workers(1)
        # On one worker first, while there is no second that could take a part.
        one, first = _seconds(here, ada, video)
        # A directory of its own, so that nothing but the media store is shared.
        here.add_worker("worker-b", small=False, data_dir=str(_second_data_dir(here)))
        here.await_workers(2)
        two, second = _seconds(here, ada, video)

    same = first.result is not None and first.result == second.result
    print(
        f"one worker {one:.1f} s, two workers {two:.1f} s: {one / two:.2f} times as fast; bytes"
        f" equal: {same}"
    )
    # Two workers on two cores cannot reach 2: planning, the survey and joining have no twin.
    return Figure(one / two, "x one worker", ">= 1.6, bytes equal", one / two >= 1.6 and same)


def _seconds(here: Stack, ada: str, video: Path) -> tuple[float, JobRecord]:
    began = time.monotonic()
    job = here.bench.wait_for(submit_swap(here, ada, video, "swap_video"), timeout_s=180)
    return time.monotonic() - began, job


def _second_data_dir(here: Stack) -> Path:
    """Another machine's data directory: only the media store is mounted from the first."""
    # A link: the media store is shared, staging is not.
    directory = here.directory / "data-b"
    directory.mkdir()
    (directory / "media").symlink_to(here.bench.data_dir / "media", target_is_directory=True)
    return directory
