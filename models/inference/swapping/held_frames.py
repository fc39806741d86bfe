"""Frames that have been taken and are not written yet, and who is in each of them.

Frames are held back for a moment: somebody found late is followed back to their first appearance,
and a doubt about who somebody is may be settled before it matters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from models.inference.finding.detections import overlap
from models.inference.finding.face_finder import SAME_FACE
from models.inference.finding.face_tracker import CHECK_S, MOST_CHECK_S, FaceTracker
from models.inference.finding.sparse_tracker import SeenFrame, SparseTracker
from models.inference.finding.tracks import LOOK_KEPT, TrackedFace, difference
from models.inference.frames.frame import Frame

LOOK_BACK_S = 0.6  # more than a sweep for small faces takes, and five looks at a doubtful face
LOOK_BACK_BYTES = 64 * 2**20  # of held frames: 21 frames of 1080p, 5 of 2160p


@dataclass
class HeldFrame:
    """A frame that has not been written yet. Its faces are not known before it `is_seen`."""

    frame: Frame
    time_s: float
    is_shown: bool
    shot: int = -1
    faces: list[TrackedFace] = field(default_factory=list)
    is_seen: bool = False
    detect_ms: float = 0.0


@dataclass
class HeldFrames:
    """The frames of one video, in order: taken one by one, given back when they are due."""

    tracker: FaceTracker
    _held: deque[HeldFrame] = field(default_factory=deque, init=False)
    _watch: SparseTracker = field(init=False)

    def __post_init__(self) -> None:
        self._watch = SparseTracker(self.tracker)

    def take(self, frame: Frame, time_s: float, *, is_shown: bool) -> None:
        """Look at the next frame, or pass it over until a later one says who is in it."""
        started = perf_counter()
        self.tracker.check_s = self._check_s(frame, time_s)
        held = HeldFrame(frame, time_s, is_shown)
        self._held.append(held)

        for seen in self._watch.take(frame, time_s):
            self._settle(seen)

        held.detect_ms = (perf_counter() - started) * 1e3

    def due(self, time_s: float) -> Iterator[HeldFrame]:
        """Yield the frames that need not be held any longer, oldest first."""
        while self._held and self._held[0].is_seen:
            oldest = self._held[0]
            is_old = oldest.time_s <= time_s - LOOK_BACK_S
            if not is_old and len(self._held) <= _most_held(oldest.frame):
                break

            yield self._held.popleft()

    def rest(self) -> Iterator[HeldFrame]:
        """Yield all that are still held, oldest first."""
        for seen in self._watch.finish():
            self._settle(seen)

        while self._held:
            yield self._held.popleft()

    @property
    def oldest(self) -> HeldFrame | None:
        """The frame after the one that was yielded last."""
        return self._held[0] if self._held else None

    def _settle(self, seen: SeenFrame) -> None:
        """Note who is in the oldest held frame of which that was not known."""
        place = next(index for index, held in enumerate(self._held) if not held.is_seen)
        held = self._held[place]
        held.shot = seen.shot
        held.faces = seen.faces
        held.is_seen = True

        if not seen.began_shot:
            for newcomer in (one for one in seen.faces if one.is_new):
                self._look_back(newcomer, place)

    def _look_back(self, newcomer: TrackedFace, place: int) -> None:
        """Follow someone who was just found back through the frames of the shot before that."""
        later = newcomer
        for index in reversed(range(place)):
            held = self._held[index]
            if held.shot != self._held[place].shot:
                break

            earlier = self.tracker.look_back(held.frame, held.time_s, later)
            if earlier is None:
                break

            same, others = _split(held.faces, earlier)
            if same and not _is_settled_by(newcomer, earlier, same):
                break

            held.faces = [*others, earlier]
            later = earlier

    def _check_s(self, frame: Frame, time_s: float) -> float:
        """Return how long to go without a detection: no longer than frames can be held."""
        step_s = time_s - self._held[-1].time_s if self._held else 0.0
        return min(MOST_CHECK_S, max(CHECK_S, _most_held(frame) * step_s))


def _most_held(frame: Frame) -> int:
    return max(1, LOOK_BACK_BYTES // (frame.width * frame.height * 3 // 2))


def _split(
    faces: Sequence[TrackedFace], one: TrackedFace
) -> tuple[list[TrackedFace], list[TrackedFace]]:
    """Return which of a frame's faces are in the place of one face, and the others."""
    is_same = [overlap(one.face.box, other.face.box) > SAME_FACE for other in faces]
    same = [other for other, here in zip(faces, is_same, strict=True) if here]
    others = [other for other, here in zip(faces, is_same, strict=True) if not here]

    return same, others


def _is_settled_by(
    newcomer: TrackedFace, earlier: TrackedFace, same: Sequence[TrackedFace]
) -> bool:
    """Whether a face of which it was open whose it is looks as the newcomer does that took its
    place.
    """
    is_open = not any(other.is_sure for other in same)
    return is_open and difference(earlier.face.look, newcomer.face.look) < LOOK_KEPT
