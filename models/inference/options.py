"""What a caller asks of a swap, and what the engine answers about faces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.inference.arrays import Box, Embedding

Preserved = Literal["mouth", "eyes"]
SkipReason = Literal["too_small", "too_turned", "cut_off", "occluded", "not_sure", "not_selected"]


@dataclass(frozen=True)
class FaceSelector:
    """Which faces an identity is given to.

    `largest` and `all` need nothing more; `index` counts from the left in the frame where a person
    first appears; `person` takes the `person_id` of an analysis; `box` the person who overlaps it
    at first sight; `reference` the person most like a registered identity's embedding.
    """

    kind: Literal["largest", "all", "index", "person", "box", "reference"] = "largest"
    index: int = 0
    person_id: str = ""
    box: Box = (0.0, 0.0, 0.0, 0.0)
    reference: Embedding | None = None


@dataclass(frozen=True)
class SwapOptions:
    """How a swap looks; every default is the recommended value.

    `blend` 0..1 is the opacity of the swap; `mask_feather` and `mask_erode` 0..1 how soft and how
    far drawn in its edge is. `colour_match` 0..1 is how far the face takes the target's light
    and skin colour instead of its photo's. `smoothing` 0..1 steadies landmarks in time: 0 is off,
    0.5 the tuned filter. Faces with eyes closer than `min_face_px` or turned more than
    `max_yaw_deg` fade out.
    `measure_similarity` runs the identity encoder on samples of the output for the report.
    """

    blend: float = 1.0
    # Of the widest rim; 0 is a hard edge.
    mask_feather: float = 0.5
    mask_erode: float = 0.0
    preserve: frozenset[Preserved] = frozenset()
    colour_match: float = 1.0
    smoothing: float = 0.5
    # Below 16 px between the eyes there is no face to be seen, only a shade of skin.
    min_face_px: float = 16.0
    # Beyond it the far half of the face is hidden, and its mesh a guess.
    max_yaw_deg: float = 62.0
    measure_similarity: bool = False


@dataclass(frozen=True)
class FaceReport:
    """What happened to one face of one image or frame; `reason` is set when it was not, or not
    fully, swapped.

    `identity_similarity` is the cosine of an image's result to the identity, where the options ask
    for it; `assignment` the place of the assignment that chose the face, in the list given.
    # What is true of the face in this frame; a report of the whole video is `PersonReport`.
    `box` is left, top, right, bottom in pixels; `human` 0..1 how sure the detector is, from close
    up, that this is a human face and not a drawing or an animal.
    """

    person_id: str
    box: Box
    eye_px: float
    yaw_deg: float
    score: float
    opacity: float
    identity_key: str | None = None
    reason: SkipReason | None = None
    identity_similarity: float | None = None
    assignment: int | None = None
    human: float = 1.0

    @property
    def swapped(self) -> bool:
        return self.opacity > 0


@dataclass(frozen=True)
class FrameReport:
    """The faces of one video frame and where its time went, in milliseconds."""

    faces: tuple[FaceReport, ...]
    detect_ms: float
    swap_ms: float
    blend_ms: float


@dataclass(frozen=True)
class PersonReport:
    """One person through a whole sequence.

    `identity_similarity` is the mean cosine of the output to the identity (None when not measured);
    `jitter` the mean second difference of the aligned landmarks in pixels of the 224 template.
    """

    person_id: str
    identity_key: str | None
    frames_seen: int
    frames_swapped: int
    frames_skipped: dict[str, int]
    identity_similarity: float | None
    jitter: float
    yaw_range_deg: tuple[float, float]
    first_seen_s: float
    last_seen_s: float
    assignment: int | None = None


@dataclass(frozen=True)
class SequenceReport:
    """People of a sequence in order of appearance, and the work that tracking took."""

    people: tuple[PersonReport, ...]
    frames: int
    cuts: int
    detections: int
    recognition_passes: int = field(default=0)
