"""`make bar BAR=stages`: where the CPU time of a swapped frame goes, stage by stage."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeAlias

from benchmarks.bar import Figure, bar
from benchmarks.video.costs import in_a_child, swapper, use_two_cores
from benchmarks.video.solo_video import FRAMES, decoded
from models.inference.runtime import Device
from tests.models.demo_media import SOLO
from worker.video.frames.planes import i420_view
from worker.video.frames.tone_map import SDR

SIZE = (1280, 720)
FPS = 30
SETTLED = 30  # frames: the identity's first pass, and tracks that have just begun, are no frame's
SAMPLE_S = 5e-4  # between two looks at what runs: a tenth of the cheapest stage shown

# By the innermost function of ours that is at work: its module, or module and function.
STAGES = {
    "painting/face_swapper.py": "the identity's network",
    "finding/face_mesh.py": "meshes",
    "finding/eyes": "eyes: reading them",
    "finding/face_detector.py": "detection",
    "finding/blaze_face.py": "detection",
    "finding/identity_encoder.py": "recognition",
    "finding": "people, filters",
    "painting/occlusion.py": "what covers the face",
    "painting/blending.py": "mask",
    "texture/triangle_raster.py": "texture: its map",
    "texture/eyes": "texture: eyes",
    "texture/light": "texture: light",
    "texture/sharpness.py": "texture: sharpness, grain",
    "texture/blur.py": "texture: sharpness, grain",
    "texture/hair.py": "texture: the target's hair",
    "texture/fine_detail.py": "fine band of a close-up",
    "texture": "texture: the rest",
    "frames/i420.py:rgb_crop": "crops of the frame",
    "frames/i420.py:paste": "pasting",
    "": "the rest",
}
NETWORKS = ("session.py", "openvino_runtime.py")
ROOM = "/models/inference/"

Stage: TypeAlias = tuple[str, bool]  # its name, and whether a network of it runs


@bar("stages")
def where_a_frame_goes() -> Figure:
    """CPU milliseconds of one swapped frame by stage: the solo video at 720 lines, one face, one
    thread, the decoder and the encoder left out.
    """
    times = in_a_child(measured_stages, "cpu")
    total = sum(times.values())
    rows = []
    for stage in dict.fromkeys(STAGES.values()):
        network_ms = times.get((stage, True), 0.0)
        rows.append((network_ms + times.get((stage, False), 0.0), network_ms, stage))

    print(f"{'stage':28} {'CPU ms':>7} {'of it networks':>15}")
    for spent_ms, network_ms, stage in sorted(rows, reverse=True):
        print(f"{stage:28} {spent_ms:7.2f} {network_ms:15.2f}")

    return Figure(total, "CPU ms a frame", "a table, no bar", holds=True)


def measured_stages(device: Device) -> dict[Stage, float]:
    """Return CPU milliseconds a frame by stage, and by whether a network ran."""
    use_two_cores()
    frames = [i420_view(frame, SDR) for frame in decoded(SOLO, FRAMES, SIZE)]
    sequence = swapper(device)
    times: defaultdict[Stage, float] = defaultdict(float)

    for index in range(SETTLED):
        sequence.take(frames[index], index / FPS)

    with _sampled(times):
        for index in range(SETTLED, FRAMES):
            sequence.take(frames[index], index / FPS)

    per_ms = (FRAMES - SETTLED) / 1e3
    return {stage: spent_s / per_ms for stage, spent_s in times.items()}


@contextmanager
def _sampled(times: defaultdict[Stage, float]) -> Iterator[None]:
    """Note in what stage the main thread spends its CPU seconds.

    A sample is taken once the call in progress has ended, so it counts all of the time since the
    one before it: a network's ten milliseconds are ten, not one.
    """
    last_s = time.thread_time()

    def note(_number: int, frame: FrameType | None) -> None:
        nonlocal last_s
        now_s = time.thread_time()
        times[_stage(frame)] += now_s - last_s
        # Looking costs as much as a small stage: it is nobody's.
        last_s = time.thread_time()

    before = signal.signal(signal.SIGALRM, note)
    signal.setitimer(signal.ITIMER_REAL, SAMPLE_S, SAMPLE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stage(frame: FrameType | None) -> Stage:
    """Return the stage that the innermost function of ours belongs to, and whether a network
    runs.
    """
    is_network = False
    while frame is not None:
        _, found, module = frame.f_code.co_filename.partition(ROOM)
        place = f"{module}:{frame.f_code.co_name}"
        is_network |= bool(found) and module in NETWORKS
        stage = _named(place) if found else None
        if stage is not None:
            return stage, is_network

        frame = frame.f_back

    return STAGES[""], is_network


def _named(place: str) -> str | None:
    """Return the stage of `module:function`: the most exact entry that begins it."""
    return next((name for key, name in STAGES.items() if key and place.startswith(key)), None)
