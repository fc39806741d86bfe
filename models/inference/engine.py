"""The engine: photos become an identity once; images and video frames are swapped many times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from models.inference.arrays import BgrImage, Box, Embedding, Landmarks
from models.inference.i420 import I420Frame
from models.inference.identity import IdentityCode, PhotoReport, Registration, SpecialisedWeights
from models.inference.options import FaceReport, FaceSelector, FrameReport, PersonReport, SequenceReport, SwapOptions

if TYPE_CHECKING:
    from models.packs.store import Pack

__all__ = [
    "Assignment",
    "Counters",
    "DetectedFace",
    "FaceReport",
    "FaceSelector",
    "FaceSwapEngine",
    "FaceTracker",
    "FrameReport",
    "I420Frame",
    "Identity",
    "IdentityCode",
    "PersonReport",
    "PhotoReport",
    "Registration",
    "SequenceReport",
    "SequenceSwapper",
    "SpecialisedWeights",
    "SwapOptions",
    "SwapOutcome",
    "TrackedFace",
]


@dataclass
class Counters:
    """Work done since the engine was loaded; a warm swap leaves all but `swap_passes` alone."""

    encoder_passes: int = 0
    iim_passes: int = 0
    swap_passes: int = 0
    models_loaded: int = 0
    sessions_created: int = 0


@dataclass(frozen=True)
class DetectedFace:
    """A face of a still: box and 468 landmarks in pixels, score 0..1, yaw in degrees (right of the viewer positive)."""

    box: Box
    score: float
    landmarks: Landmarks
    yaw_deg: float
    eye_px: float


@dataclass(frozen=True)
class TrackedFace(DetectedFace):
    """A face of a video frame, with the person it belongs to; `is_new` on the first frame of a track."""

    person_id: str = ""
    is_new: bool = False


@dataclass(frozen=True)
class Identity:
    """An identity that is ready to swap; get one from `FaceSwapEngine.identity`."""

    key: str
    code: IdentityCode


@dataclass(frozen=True)
class Assignment:
    """Which faces become whom."""

    selector: FaceSelector
    identity: Identity


@dataclass(frozen=True)
class SwapOutcome:
    """A swapped copy of a still, and what happened to each face that was found."""

    frame: BgrImage
    faces: tuple[FaceReport, ...]


@dataclass
class FaceSwapEngine:
    """All models of one pack on one device, for one thread at a time."""

    counters: Counters = field(default_factory=Counters)

    @classmethod
    def load(
        cls,
        pack: Pack,
        *,
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int = 1,
        max_sessions: int = 16,
    ) -> FaceSwapEngine:
        """Load a pack's models. Raises `DeviceUnavailableError` when CUDA is asked for and cannot be had."""
        raise NotImplementedError

    @property
    def provider(self) -> str:
        """The execution provider in use, as ONNX Runtime names it."""
        raise NotImplementedError

    def register(self, photos: Sequence[BgrImage]) -> Registration:
        """Turn one to eight photos of one person into an identity code.

        Raises `NoFaceError`, `SeveralFacesError`, `LowQualityError` when no photo is good enough, and
        `PhotosDisagreeError` when they show different people.
        """
        raise NotImplementedError

    def specialise(self, code: IdentityCode) -> SpecialisedWeights:
        """Run the IIM once: the code becomes the 18 tensors of its swapper."""
        raise NotImplementedError

    def identity(self, key: str, code: IdentityCode, weights: SpecialisedWeights) -> Identity:
        """Return the identity ready to swap; its session is kept in a bounded cache under `key`."""
        raise NotImplementedError

    def forget(self, key: str) -> None:
        """Drop an identity's session and texture, if they are held."""
        raise NotImplementedError

    def detect(self, image: BgrImage) -> list[DetectedFace]:
        """Find the faces of a still, left to right, down to 20 px between the eyes."""
        raise NotImplementedError

    def swap_frame(
        self, frame: BgrImage, assignments: Sequence[Assignment], options: SwapOptions | None = None
    ) -> SwapOutcome:
        """Swap a still; pixels outside the faces' regions are copied. Raises `FaceNotFoundError`."""
        raise NotImplementedError

    def sequence(
        self,
        assignments: Sequence[Assignment],
        options: SwapOptions | None = None,
        *,
        fps: float = 30.0,
        people: Mapping[str, Embedding] | None = None,
    ) -> SequenceSwapper:
        """Begin a video. `people` are persons known before, so that segments of one film agree about ids."""
        raise NotImplementedError

    def tracker(self, *, fps: float = 30.0, people: Mapping[str, Embedding] | None = None) -> FaceTracker:
        """Begin following people through a video without swapping them."""
        raise NotImplementedError


class FaceTracker:
    """People of a video, frame by frame."""

    def update(self, frame: I420Frame, time_s: float) -> list[TrackedFace]:
        """Return the faces of the next frame, with raw (unfiltered) landmarks."""
        raise NotImplementedError

    def people(self) -> dict[str, Embedding]:
        """Everyone seen so far, by `person_id`, for a tracker that goes on elsewhere."""
        raise NotImplementedError


class SequenceSwapper:
    """Swaps the frames of one video in order; keeps tracks, filters and fades between them."""

    def swap(self, frame: I420Frame, time_s: float) -> FrameReport:
        """Swap the next frame in place; only the faces' regions are written."""
        raise NotImplementedError

    def warm_up(self, frame: I420Frame, time_s: float) -> None:
        """Let the tracker see a frame that is not output, before a segment's first one."""
        raise NotImplementedError

    def report(self) -> SequenceReport:
        """What was done so far, person by person."""
        raise NotImplementedError
