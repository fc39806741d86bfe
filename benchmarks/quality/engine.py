"""Bars Q-1 to Q-3: whom the demo resembles, which faces are found, how still landmarks stand."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from benchmarks.quality.loaded import engine, enrolled
from models.inference.arrays import BgrImage, Landmarks
from models.inference.finding.alignment import align
from models.inference.finding.detections import overlap
from models.inference.finding.face_mesh import MeshedFace, RegionOfInterest
from models.inference.finding.landmark_filter import LandmarkFilter
from models.inference.frames.affine import transform
from models.inference.frames.frame import Frame
from models.inference.frames.i420 import I420Frame
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceSelector, SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from tests.material import shared
from tests.models.demo_media import DUET, SOLO, frames_of, planes, portrait, with_noise
from tests.models.yardsticks import IndependentEncoder, YuNet
from worker.settings import MediaLimits
from worker.video.plan import plan_video
from worker.video.segments import OutputSettings, swap_segment
from worker.video.video import Video

FPS = 30.0
NOISE_LEVELS = 4.0  # a phone's sensor indoors


@bar("Q-1")
def a_swapped_face_is_the_sources() -> Figure:
    """Cosine of the independent encoder to source and target: ada into ben's portraits and into the
    encoded solo video; pixels outside the face's region unchanged."""
    judge = IndependentEncoder.load(shared())
    ada = enrolled("ada")
    source = _embedding(judge, portrait("ada_neutral"))
    images_hold = [
        # A neutral and a smiling portrait: the swap has to carry an expression, too.
        _portrait_holds(judge, source, ada, name)
        for name in ("ben_neutral", "ben_smile")
    ]

    with tempfile.TemporaryDirectory() as folder:
        swapped = _swapped_video(Path(folder) / "solo.nut", ada)

    cosines = np.array(
        [_cosines(judge, source, *pair) for pair in zip(frames_of(SOLO), swapped, strict=True)]
    )
    share = float((cosines[:, 0] > cosines[:, 1]).mean())
    print(
        f"video, {len(cosines)} frames: to source {cosines[:, 0].mean():.3f}, to target"
        f" {cosines[:, 1].mean():.3f}"
    )

    return Figure(
        share,
        "of the video's frames nearer to the source",
        ">= 0.9 and both images",
        share >= 0.9 and all(images_hold),
    )


def _portrait_holds(
    judge: IndependentEncoder, source: NDArray[np.float32], identity: Identity, name: str
) -> bool:
    before = portrait(name)
    face = engine().detect(before)[0]
    after = engine().swap_frame(before, [Assignment(FaceSelector(), identity)]).frame
    to_source, to_target = _cosines(judge, source, ImageFrame(before), ImageFrame(after), face)
    changed = (after != before).any(axis=2)
    left, top, right, bottom = (int(edge) for edge in face.box)
    # A box's surroundings: the mask ends within 40 px of the face.
    changed[max(0, top - 40) : bottom + 40, max(0, left - 40) : right + 40] = False
    print(
        f"{name}: to source {to_source:.3f}, to target {to_target:.3f}; {changed.sum()} pixels"
        " changed outside"
    )

    # Not one pixel: outside the region nothing is computed.
    return to_source > to_target and not changed.any()


def _swapped_video(path: Path, identity: Identity) -> list[I420Frame]:
    swapper = engine().sequence([Assignment(FaceSelector(), identity)])
    with Video.open(SOLO, MediaLimits()) as video:
        # Through the video path, encoder included: what a user gets.
        segment = plan_video(video).segments[0]
        swap_segment(video, segment, path, swapper, OutputSettings(), lambda _done: None)
    return frames_of(path)


def _embedding(judge: IndependentEncoder, image: BgrImage) -> NDArray[np.float32]:
    return judge.embed(ImageFrame(image), engine().detect(image)[0].landmarks)


def _cosines(
    judge: IndependentEncoder,
    source: NDArray[np.float32],
    before: Frame,
    after: Frame,
    face: MeshedFace | None = None,
) -> tuple[float, float]:
    if face is None:
        face = engine().mesh.settle(before, engine().detector.find(before)[0])

    # The same landmarks for both: the judge compares faces, not detections.
    old, new = (judge.embed(frame, face.landmarks) for frame in (before, after))
    return float(new @ source), float(new @ old)


@bar("Q-2")
def the_detectors_find_what_yunet_finds() -> Figure:
    """Of the faces YuNet finds on the evaluation images and the demo videos' frames, the share ours
    finds too.
    """
    yunet = YuNet.load(shared())
    found = 0
    wanted = 0

    with (shared() / "data" / "faces.csv").open() as table:
        files = [
            shared() / "data" / "faces" / row["file"]
            for row in csv.DictReader(table)
            if row["split"] == "eval"
        ]

    # Every fifth frame: neighbours show the same.
    videos = [_as_bgr(frame) for path in (SOLO, DUET) for frame in frames_of(path, step=5)]
    for name, images in (("eval images", map(_read, files)), ("video frames", videos)):
        pairs = [(yunet.find(image), engine().detect(image)) for image in images]
        theirs = sum(len(boxes) for boxes, _ in pairs)
        ours = sum(
            # Half of the union: the same face, whatever margin a detector draws.
            any(overlap(box, face.box) > 0.5 for face in faces)
            for boxes, faces in pairs
            for box in boxes
        )

        print(
            f"{name}: {ours} of {theirs} faces; ours in all {sum(len(faces) for _, faces in pairs)}"
        )
        found = found + ours
        wanted = wanted + theirs

    return Figure(found / wanted, "recall", ">= 0.98", found / wanted >= 0.98)


def _read(path: Path) -> BgrImage:
    return np.asarray(cv2.imread(str(path)), np.uint8)


def _as_bgr(frame: I420Frame) -> BgrImage:
    packed = np.concatenate([plane.ravel() for plane in planes(frame)]).reshape(-1, frame.width)
    return np.asarray(cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420), np.uint8)


@bar("Q-3")
def still_faces_do_not_tremble_and_moving_ones_are_not_late() -> Figure:
    """Mean second difference of the aligned landmarks on a still face with sensor noise, filtered
    over unfiltered; and the filter's lag on the solo video."""
    first = frames_of(SOLO, 1)[0]
    rng = np.random.default_rng(0)
    # Three seconds of one image: all that moves is noise.
    noisy = _meshes([with_noise(first, NOISE_LEVELS, rng) for _ in range(90)])
    raw = _trembling(noisy)
    steady = _trembling(_filtered(noisy))
    moving = _meshes(frames_of(SOLO))
    lag = _lag_frames(moving, _filtered(moving))
    print(
        f"trembling {raw:.3f} px of the template unfiltered, {steady:.3f} filtered; lag {lag:.2f}"
        " frames"
    )
    # Second differences: standing still and even motion have none.
    fall = 1 - steady / raw
    return Figure(fall, "less trembling", ">= 0.6, lag <= 1 frame", fall >= 0.6 and lag <= 1)


def _meshes(frames: Sequence[I420Frame]) -> Landmarks:
    mesh = engine().mesh
    tracks = list[Landmarks]()
    face = mesh.settle(frames[0], engine().detector.find(frames[0])[0])

    for frame in frames:
        face = mesh.look(frame, RegionOfInterest.of_landmarks(face.landmarks))
        tracks.append(face.landmarks)

    return np.stack(tracks)


def _filtered(track: Landmarks) -> Landmarks:
    steady = LandmarkFilter(SwapOptions().smoothing)
    return np.stack([steady.apply(landmarks, index / FPS) for index, landmarks in enumerate(track)])


def _trembling(track: Landmarks) -> float:
    """In template pixels: a fixed fit, so that the face's own motion in the crop is what is
    measured.
    """
    to_template = align(track[0], "similarity")
    aligned = np.stack([transform(landmarks, to_template) for landmarks in track])
    return float(np.linalg.norm(np.diff(aligned, 2, axis=0), axis=-1).mean())


def _lag_frames(raw: Landmarks, late: Landmarks) -> float:
    """Return the delay of the raw track that comes nearest to the filtered one, in tenths of a
    frame.
    """
    # To a tenth of a frame, up to three frames.
    delays = np.arange(0, 3.01, 0.1)
    errors = [
        np.linalg.norm(late[4:] - _delayed(raw, float(delay))[4:], axis=-1).mean()
        for delay in delays
    ]
    return float(delays[int(np.argmin(errors))])


def _delayed(track: Landmarks, frames: float) -> NDArray[np.float64]:
    whole = int(frames)
    part = frames % 1
    return np.asarray(
        (1 - part) * np.roll(track, whole, axis=0) + part * np.roll(track, whole + 1, axis=0)
    )
