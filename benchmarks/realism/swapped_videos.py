"""Swaps every measured video once, reads target and result, and keeps what was read.

Several bars share one run: it is kept below `var/realism` under the digest of the engine's code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.realism import readings
from benchmarks.realism.material import (
    BLINKING,
    BLINKING_SOURCES,
    QUICK,
    engine,
    evaluation,
    identity_of,
    kept,
    rate_of,
    version_of,
    videos,
)
from benchmarks.realism.swapped_video import Array, SwappedVideo
from models.inference.arrays import Affine, Box, Landmarks, Mask, RgbImage
from models.inference.finding.tracks import TrackedFace
from models.inference.frames.affine import transform
from models.inference.frames.i420 import I420Frame
from models.inference.mesh_points import INNER_LIPS
from models.inference.options import FaceSelector, FrameReport, SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from tests.models.demo_media import frames_of

HEAD = 0.6  # of the face's height, kept around it to look at
# One order of the sources for ever: two runs swap the same people into the same videos.
SEED = 5
# Inner face of the 224 px crop, where the network's mask must be whole: this far inside the hull.
INSIDE_PX = 14
BROWS_DOWN_PX = 8
LIPS_PX = 4  # how far past the inner lips their opening fades, and the mesh errs
# Modules that what is kept depends on, beside the engine: a change in one reads the videos anew.
READ_BY = ("swapped_videos.py", "swapped_video.py", "readings.py")


@dataclass(frozen=True)
class RecordingFrame(I420Frame):
    """A frame that keeps the mask each face is pasted by."""

    masks: list[tuple[Mask, Affine]] = field(default_factory=list)

    def paste(self, face: RgbImage, mask: Mask, to_crop: Affine) -> Box | None:
        self.masks.append((mask, to_crop))
        return super().paste(face, mask, to_crop)


@cache
def swapped_videos() -> list[SwappedVideo]:
    """Return all videos, each swapped to an evaluation person of its own, or to several."""
    here = Path(__file__).parent
    version = version_of([here / name for name in READ_BY])
    sources = _sources()
    results = []

    for name, path in videos().items():
        for take in range(BLINKING_SOURCES if name in BLINKING else 1):
            label = f"{name}.{take}" if take else name
            file = kept(label, version)
            source = next(sources)

            if not file.exists():
                _swap(label, path, source).save(file)

            results.append(SwappedVideo.load(file))

    return results


def _sources() -> Iterator[int]:
    """Return evaluation people in a fixed order, those whose photo is accepted."""
    order = np.random.default_rng(SEED).permutation(evaluation().sources)
    return (int(row) for row in order if identity_of(int(row)) is not None)


def _swap(name: str, path: Path, source: int) -> SwappedVideo:
    identity = identity_of(source)
    assert identity is not None
    # Forty frames show whether anything is broken.
    before = frames_of(path)[: 40 if QUICK else None]
    after = [RecordingFrame(f.y.copy(), f.u.copy(), f.v.copy(), f.matrix) for f in before]
    tracked = _swap_frames(after, identity, rate_of(path))
    # Read only where the face was wholly swapped: a fade is neither of both.
    rows = [_read(before[i], after[i], *tracked[i]) | {"frames": i} for i in sorted(tracked)]
    columns = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    box = _head_box(columns["meshes"], before[0])
    indices = [int(index) for index in columns["frames"]]
    hulls = [readings.hull_mask(mesh, before[0].y.shape) for mesh in columns["meshes"]]

    return SwappedVideo(
        name=name,
        source=source,
        **columns,
        heads=np.stack([_head(before[i], box) for i in indices]),
        new_heads=np.stack([_head(after[i], box) for i in indices]),
        head_box=np.array(box),
        tremble=_second_differences([before[i].y for i in indices], hulls),
        new_tremble=_second_differences([after[i].y for i in indices], hulls),
    )


def _swap_frames(
    frames: list[RecordingFrame], identity: Identity, rate: float
) -> dict[int, tuple[Landmarks, float]]:
    """Swap the largest face in place; return its mesh and turn by frame, where it wholly shows."""
    selector = FaceSelector("largest")
    sequence = engine().sequence([Assignment(selector, identity)], SwapOptions())
    # A tracker of our own, since the sequence does not tell the meshes it used.
    watcher = engine().tracker()
    seen: list[list[TrackedFace]] = []
    reports: list[FrameReport] = []

    # As videos are swapped in production: frames are held for a moment, some never looked at.
    for index, frame in enumerate(frames):
        seen.append(watcher.update(frame, index / rate))  # sees what is about to be swapped
        reports.extend(sequence.take(frame, index / rate))

    reports.extend(sequence.finish())
    found: dict[int, tuple[Landmarks, float]] = {}

    for index, (report, faces) in enumerate(zip(reports, seen, strict=True)):
        shown = [face for face in report.faces if face.opacity >= 1]

        # Left alone for its size or turn: there is nothing of the swap to read.
        if not shown or not faces:
            continue

        left, top, right, bottom = shown[0].box
        centre = np.array([(left + right) / 2, (top + bottom) / 2])
        # The report names a box; the track nearest to it has the mesh.
        near = min(faces, key=lambda one: np.linalg.norm(one.face.landmarks.mean(0) - centre))
        found[index] = (near.face.landmarks, near.face.yaw_deg)

    return found


def _read(before: I420Frame, after: RecordingFrame, mesh: Landmarks, yaw: float) -> dict[str, Any]:
    new_mesh = readings.mesh_at(after, mesh)
    eyes = readings.eyes_at(before, mesh)
    new_eyes = readings.eyes_at(after, new_mesh)

    return {
        "meshes": mesh,
        "new_meshes": new_mesh,
        "mirrors": readings.mirror_mesh_at(before, mesh),
        "new_mirrors": readings.mirror_mesh_at(after, mesh),
        "lids": eyes.lids,
        "new_lids": new_eyes.lids,
        "irises": eyes.irises,
        "new_irises": new_eyes.irises,
        "yaws": yaw,
        "covers": uncovered_share(*after.masks[0], mesh),
    }


def uncovered_share(mask: Mask, to_crop: Affine, mesh: Landmarks) -> float:
    """Return the share of the inner face below the brows where the swap shows by less than half."""
    in_crop = transform(mesh, to_crop)
    hull = readings.hull_mask(in_crop, mask.shape).astype(np.uint8)
    inside = readings.eroded(hull, INSIDE_PX * mask.shape[0] // 224)
    # Hair falls over brows, and leaving it open is right.
    inside[: max(0, int(in_crop[[159, 386], 1].min()) - BROWS_DOWN_PX)] = 0
    # Between the lips, and where they meet, the frame itself is shown.
    lips = np.rint(in_crop[list(INNER_LIPS)]).astype(np.int32)
    cv2.fillPoly(inside, [lips], 0)
    cv2.polylines(inside, [lips], isClosed=True, color=0, thickness=2 * LIPS_PX + 1)

    return float((mask[inside > 0] < 0.5).mean()) if inside.any() else 0.0


def _head_box(meshes: Array, frame: I420Frame) -> tuple[int, int, int, int]:
    low = meshes.min((0, 1))
    high = meshes.max((0, 1))
    margin = HEAD * float(np.ptp(meshes[..., 1], axis=1).mean())
    # Even, because chroma has half the resolution.
    left, top = (max(0, int(v) // 2 * 2) for v in low - margin)
    right = min(frame.width, int(high[0] + margin))

    return left, top, right, min(frame.height, int(high[1] + margin))


def _head(frame: I420Frame, box: tuple[int, int, int, int]) -> RgbImage:
    left, top, right, bottom = box
    side = max(right - left, bottom - top)
    shift = np.array([[1.0, 0, -left], [0, 1.0, -top]])
    return frame.rgb_crop(shift, side)[: bottom - top, : right - left]


def _second_differences(planes: list[Array], hulls: list[Array]) -> Array:
    """Return the mean of |a - 2 b + c| over the face of the middle frame."""
    values = []
    for i in range(1, len(planes) - 1):
        # Signed, or a darker pixel would wrap around.
        a, b, c = (planes[j].astype(np.int16) for j in (i - 1, i, i + 1))
        values.append(np.abs(a - 2 * b + c)[hulls[i]].mean())

    return np.array(values, np.float32)
