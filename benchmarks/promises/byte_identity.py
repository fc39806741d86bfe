"""G-7: a video that was broken off and resumed equals an unbroken one, byte for byte."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame

from benchmarks.bar import Figure, bar
from models.inference.engine import FaceSwapEngine
from models.packs.store import load_pack
from tests.material import PACKS
from tests.store_server import StoreServer
from tests.worker.video.conftest import VideoBench, people_of
from tests.worker.video.material.samples import DUET, frames_of
from tests.worker.video.material.written import SourceVideo, write
from worker.composition import open_stores
from worker.contract.jobs import JobRecord
from worker.settings import WorkerSettings

# A time base in which 30 frames a second are whole numbers.
BASE = Fraction(1, 30_000)
REPEATS = 100
OTHER_REPEATS = 10  # with other instruction sets, where only equality within each is asked
WASTE = "while True: sum(range(10_000))"  # one such process for each core, beside the swaps

# Numbers of `cv::CpuFeatures`, which the Python module does not name.
OPENCV_FEATURES = {"AVX2": 11, "FMA3": 12, "AVX512F": 13, "AVX512-SKX": 256}
# Whole families: with one of them left, dispatchers would pick another kernel and hide the case.
NO_AVX512 = {
    "OPENCV_CPU_DISABLE": "AVX512-SKX,AVX512-ICL,AVX512-COMMON,AVX512F",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
}
# Each setting leaves OpenCV and numpy other instructions; the first leaves them all. ONNX Runtime,
# x264 and FFmpeg's scaler have no such switch: they are the same in all three.
SETTINGS = {
    "all": {},
    "no AVX-512": NO_AVX512,
    "no AVX2": {
        "OPENCV_CPU_DISABLE": f"AVX2,FMA3,{NO_AVX512['OPENCV_CPU_DISABLE']}",
        "NPY_DISABLE_CPU_FEATURES": f"X86_V3 {NO_AVX512['NPY_DISABLE_CPU_FEATURES']}",
    },
}


@bar("G-7")
def a_resumed_video_equals_an_unbroken_one() -> Figure:
    """Repeats of swapping, breaking off and resuming in one long process under CPU stress, that did
    not give the bytes of the unbroken swap; with each set of vector instructions.
    """
    different = 0
    outcomes = {}

    for name in SETTINGS:
        with stress():
            found = measured(name, REPEATS if name == "all" else OTHER_REPEATS)
        outcomes[name] = found["whole"]
        different += found["different"]

    for name, digest in outcomes.items():
        same = digest == outcomes["all"]
        print(
            f"{name} gives {'the bytes' if same else 'other bytes than those'} of all instructions"
        )

    return Figure(different, "repeats that differ", "= 0", different == 0)


def measured(name: str, repeats: int) -> dict[str, Any]:
    """Repeat with one of the settings in a process of its own; print and return what it found."""
    done = subprocess.run(
        # Of its own, since libraries choose their instructions when they load.
        [sys.executable, "-m", __spec__.name, str(repeats)],
        env=os.environ | SETTINGS[name],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {', '.join(found['instructions'])}")
    print(
        f"{name}: {repeats} repeats, {found['different']} differ from {found['whole'][:12]}",
        flush=True,
    )
    return found


@contextmanager
def stress() -> Iterator[None]:
    """Keep every core busy beside the block."""
    wasters = [subprocess.Popen([sys.executable, "-c", WASTE]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for waster in wasters:
            waster.kill()
            waster.wait()


def repeat(count: int) -> dict[str, object]:
    """Swap a video of several segments once, then `count` times with breaks; how many differ."""
    dice = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="lk-") as directory:
        folder = Path(directory)
        store = StoreServer(folder)
        store.start()

        try:
            engine = FaceSwapEngine.load(load_pack("open", PACKS), device="cpu")
            stores = open_stores(WorkerSettings(redis_url=store.url, data_dir=folder / "data"))
            bench = VideoBench(engine, stores, people_of(engine))
            source = two_shots(folder / "long.mp4")
            whole = digest(bench, bench.work(bench.submit(source)))
            broken = [digest(bench, break_and_resume(bench, source, dice)) for _ in range(count)]
        finally:
            store.kill()

    different = sum(one != whole for one in broken)
    return {"whole": whole, "different": different, "instructions": instructions()}


def instructions() -> list[str]:
    """Return what OpenCV and numpy use in this process; raises RuntimeError when one of them still
    has what its setting was to take away, as it would under another name.
    """
    opencv = {name for name, code in OPENCV_FEATURES.items() if cv2.checkHardwareSupport(code)}
    features = import_module("numpy._core._multiarray_umath").__cpu_features__
    numpy = {name for name, is_on in features.items() if is_on and name.startswith("X86")}
    unwanted = opencv & set(os.environ.get("OPENCV_CPU_DISABLE", "").split(","))
    unwanted |= numpy & set(os.environ.get("NPY_DISABLE_CPU_FEATURES", "").split())

    if unwanted:
        raise RuntimeError(f"still in use: {sorted(unwanted)}")

    return [f"OpenCV {name}" for name in sorted(opencv)] + [f"numpy {n}" for n in sorted(numpy)]


def break_and_resume(bench: VideoBench, source: Path, dice: random.Random) -> JobRecord:
    """Do some of a job's tasks, lose the next one in its middle, and let another attempt go on."""
    job = bench.submit(source)
    # Between two and four parts: before the first and after the last, breaking proves nothing.
    bench.work(job, most=dice.randint(2, 4))
    task = bench.next_task()

    if task is not None:
        loser = threading.Thread(target=bench.runner.run_task, args=(task.id, task.attempt))
        loser.start()
        loser.join(dice.random())  # somewhere in its work it is taken for dead
        bench.stores.attempts.redeliver(task)
        loser.join()

    return bench.work(job)


def digest(bench: VideoBench, job: JobRecord) -> str:
    """Return the hash of a job's result."""
    if job.status != "succeeded":
        raise AssertionError(job.error)
    return sha256(bench.result(job).read_bytes()).hexdigest()


def two_shots(path: Path) -> Path:
    """Return the duet as a slide show with a cut half way: long enough for several segments."""
    frames = [
        np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
        for frame in frames_of(DUET, count=48, size=(480, 270))
    ]
    frames[24:] = [np.ascontiguousarray(image[:, ::-1]) for image in frames[24:]]
    images = [VideoFrame.from_ndarray(image, "rgb24") for image in frames]
    # Key frames by number, not by content: segments begin at them.
    options = {"preset": "veryfast", "crf": "14", "g": "8", "sc_threshold": "0"}
    return write(path, SourceVideo(images, [i * 10_000 for i in range(48)], BASE, options=options))


if __name__ == "__main__":
    # `REPEATS SETTING` measures a part of the bar, beside whatever else the machine does; without a
    # setting, this is the process of its own.
    if len(sys.argv) > 2:
        measured(sys.argv[2], int(sys.argv[1]))
    else:
        print(json.dumps(repeat(int(sys.argv[1]))))
