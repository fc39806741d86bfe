"""Bars of the engine: likeness of the demo, detection recall, jitter, the price of a new identity,
of pasting.
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.bar import Figure, bar
from models.inference.arrays import BgrImage, Landmarks
from models.inference.engine import FaceSwapEngine
from models.inference.finding.alignment import align
from models.inference.finding.face_detector import overlap
from models.inference.finding.face_mesh import MeshedFace, RegionOfInterest
from models.inference.finding.landmark_filter import LandmarkFilter
from models.inference.frames.affine import invert, transform
from models.inference.frames.frame import Frame
from models.inference.frames.i420 import I420Frame
from models.inference.frames.still_frame import StillFrame
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.options import FaceSelector, SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment
from models.packs.store import load_pack
from tests.models.clips import DUET, SOLO, frames_of, of_planes, planes, portrait, with_noise
from tests.models.yardsticks import IndependentEncoder, YuNet
from worker.settings import MediaLimits
from worker.video.plan import plan_video
from worker.video.segments import OutputSettings, swap_segment
from worker.video.video import Video

CHECKOUT = Path(__file__).parents[2]
FPS = 30.0
NOISE_LEVELS = 4.0  # a phone's sensor indoors


@cache
def engine() -> FaceSwapEngine:
    cv2.setNumThreads(1)
    root = Path(os.environ.get("LIKENESS_DATA_DIR", CHECKOUT / "var")) / "packs"
    return FaceSwapEngine.load(load_pack("open", root), device="cpu")


@cache
def enrolled(person: str) -> Identity:
    code = engine().register([portrait(f"{person}_neutral")]).code
    return engine().identity(person, code, engine().specialise(code))


def shared() -> Path:
    return Path(os.environ.get("LIKENESS_SHARED", CHECKOUT.parent / "shared"))


@bar("Q-1")
def a_swapped_face_is_the_sources() -> Figure:
    """Cosine of the independent encoder to source and target: ada into ben's portraits and into the
    encoded solo clip; pixels outside the face's region unchanged."""
    judge = IndependentEncoder.load(shared())
    ada = enrolled("ada")
    source = _embedding(judge, portrait("ada_neutral"))
    images_hold = [
        # A neutral and a smiling portrait: the swap has to carry an expression, too.
        _portrait_holds(judge, source, ada, name)
        for name in ("ben_neutral", "ben_smile")
    ]

    with tempfile.TemporaryDirectory() as folder:
        swapped = _swapped_clip(Path(folder) / "solo.nut", ada)

    cosines = np.array(
        [_cosines(judge, source, *pair) for pair in zip(frames_of(SOLO), swapped, strict=True)]
    )
    share = float((cosines[:, 0] > cosines[:, 1]).mean())
    print(
        f"clip, {len(cosines)} frames: to source {cosines[:, 0].mean():.3f}, to target"
        f" {cosines[:, 1].mean():.3f}"
    )

    return Figure(
        share,
        "of the clip's frames nearer to the source",
        ">= 0.9 and both images",
        share >= 0.9 and all(images_hold),
    )


def _portrait_holds(
    judge: IndependentEncoder, source: NDArray[np.float32], identity: Identity, name: str
) -> bool:
    before = portrait(name)
    face = engine().detect(before)[0]
    after = engine().swap_frame(before, [Assignment(FaceSelector(), identity)]).frame
    to_source, to_target = _cosines(judge, source, StillFrame(before), StillFrame(after), face)
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


def _swapped_clip(path: Path, identity: Identity) -> list[I420Frame]:
    swapper = engine().sequence([Assignment(FaceSelector(), identity)])
    with Video.open(SOLO, MediaLimits()) as video:
        # Through the video path, encoder included: what a user gets.
        segment = plan_video(video).segments[0]
        swap_segment(video, segment, path, swapper, OutputSettings(), lambda _done: None)
    return frames_of(path)


def _embedding(judge: IndependentEncoder, image: BgrImage) -> NDArray[np.float32]:
    return judge.embed(StillFrame(image), engine().detect(image)[0].landmarks)


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
    """Of the faces YuNet finds on the evaluation images and the demo clips' frames, the share ours
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
    clips = [_as_bgr(frame) for clip in (SOLO, DUET) for frame in frames_of(clip, step=5)]
    for name, images in (("eval images", map(_read, files)), ("clip frames", clips)):
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
    over unfiltered; and the filter's lag on the solo clip."""
    still = frames_of(SOLO, 1)[0]
    rng = np.random.default_rng(0)
    # Three seconds of one image: all that moves is noise.
    noisy = _meshes([with_noise(still, NOISE_LEVELS, rng) for _ in range(90)])
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


@bar("P-2")
def a_new_identity_is_ready_within_one_generator_pass() -> Figure:
    """From stored code and weights to a ready session, over one generator pass.

    And the memory that it holds.
    """
    ada = enrolled("ada")
    stored = ada.code.to_bytes(), engine().specialise(ada.code).to_bytes()
    target = np.zeros((224, 224, 3), np.uint8)
    texture = ada.code.texture
    rounds = 24
    # Room for all, so that none is dropped while memory is measured.
    crowd = FaceSwapEngine.load(engine().pack, device="cpu", max_sessions=rounds)
    _make_ready(crowd, "the first", stored)
    # Before and after, of the whole process: what ONNX Runtime holds counts.
    before_kib = _resident_kib()

    for index in range(rounds):
        _make_ready(crowd, f"identity {index}", stored)

    held_mib = (_resident_kib() - before_kib) / 1024 / rounds
    ready_ms = list[float]()
    pass_ms = list[float]()

    for index in range(rounds):  # in turns, so that a busy machine slows both
        ready_ms.append(_ms(partial(_make_ready, crowd, f"newcomer {index}", stored)))
        pass_ms.append(_ms(lambda: ada.swapper.swap(target, texture)))

    ready = float(np.median(ready_ms))
    generator = float(np.median(pass_ms))
    print(
        f"ready in {ready:.1f} ms, one pass {generator:.1f} ms; {held_mib:.2f} MiB held for each of"
        f" {rounds} identities"
    )
    ratio = ready / generator

    return Figure(ratio, "of a generator pass", "<= 1, <= 5 MB held", ratio <= 1 and held_mib <= 5)


def _make_ready(crowd: FaceSwapEngine, key: str, stored: tuple[bytes, bytes]) -> None:
    crowd.identity(
        key, IdentityCode.from_bytes(stored[0]), SpecialisedWeights.from_bytes(stored[1])
    )


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


@bar("P-5")
def pasting_into_the_planes_beats_pasting_the_whole_frame() -> Figure:
    """A large face at 1080p: blending the region straight into I420 planes, against the whole BGR
    frame in numpy.
    """
    rng = np.random.default_rng(0)
    still = rng.integers(0, 255, (1080, 1920, 3), np.uint8)
    # As a decoder gives them: limited range, two quarter planes.
    video = of_planes(
        rng.integers(16, 235, shape, np.uint8) for shape in ((1080, 1920), (540, 960), (540, 960))
    )
    face = rng.integers(0, 255, (224, 224, 3), np.uint8)
    mask = np.zeros((224, 224), np.float32)
    cv2.ellipse(mask, (112, 112), (80, 100), 0, 0, 360, 1.0, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 4), np.float32)
    # A face of 600 px in the middle, slightly turned.
    to_crop = np.array([[0.36, 0.03, -240.0], [-0.03, 0.36, -60.0]])
    whole = list[float]()
    region = list[float]()

    for _ in range(15):
        whole.append(_ms(lambda: _paste_whole_frame(still, face, mask, invert(to_crop))))
        region.append(_ms(lambda: video.paste(face, mask, to_crop)))

    slow = float(np.median(whole))
    fast = float(np.median(region))
    print(f"whole frame in numpy {slow:.1f} ms, region in the planes {fast:.2f} ms")

    return Figure(slow / fast, "times faster", ">= 8", slow / fast >= 8)


def _paste_whole_frame(
    still: BgrImage,
    face: NDArray[np.uint8],
    mask: NDArray[np.float32],
    to_frame: NDArray[np.float64],
) -> BgrImage:
    # As most implementations do it: the whole frame, in floating point.
    size = (still.shape[1], still.shape[0])
    placed = cv2.warpAffine(face, to_frame, size).astype(np.float32)
    weight = cv2.warpAffine(mask, to_frame, size)[..., None]
    return np.asarray(placed * weight + still.astype(np.float32) * (1 - weight), np.uint8)


def _ms(work: Callable[[], object]) -> float:
    """CPU time, not wall time: other processes may share the cores."""
    began = time.thread_time()
    work()
    return (time.thread_time() - began) * 1e3
