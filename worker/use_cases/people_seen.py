"""The people of an upload as an analysis shows them: where and how they were seen, and the best
view of each.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np

from models.inference.arrays import Affine, Box, RgbImage
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.tracks import Track, TrackedFace
from models.inference.frames.frame import Frame
from worker.media.images import encode_image
from worker.video.surveys.survey_parts import SeenRecord

THUMBNAIL_PX: Final = 160
THUMBNAIL_MARGIN: Final = 1.6  # of the face's longer side: hair and chin belong to a face
MOST_BOXES: Final = 200  # enough to draw a track, and an hour's analysis stays small
NEWCOMER: Final = "n"  # begins the names of people whom the survey has missed


@dataclass
class PersonSeen:
    """One person, gathered frame by frame."""

    frames: int = 0
    first_seen_s: float = 0.0
    last_seen_s: float = 0.0
    boxes: list[tuple[float, Box]] = field(default_factory=list)
    yaw_range_deg: tuple[float, float] = (180.0, -180.0)
    eye_px_range: tuple[float, float] = (1e9, 0.0)
    best_view: float = -1.0
    thumbnail: RgbImage | None = None
    thumbnail_uri: str | None = None  # of a thumbnail that was encoded by the task that saw it

    def add(self, frame: Frame, face: MeshedFace, time_s: float) -> None:
        """Count a frame, and keep its view of the face if it is the best so far."""
        self.first_seen_s = time_s if self.frames == 0 else self.first_seen_s
        self.last_seen_s = time_s
        self.frames += 1
        self.boxes.append((time_s, face.box))
        self.yaw_range_deg = (
            min(self.yaw_range_deg[0], face.yaw_deg),
            max(self.yaw_range_deg[1], face.yaw_deg),
        )
        self.eye_px_range = (
            min(self.eye_px_range[0], face.eye_px),
            max(self.eye_px_range[1], face.eye_px),
        )
        # Large, frontal and surely a face.
        view = face.eye_px * float(np.cos(np.radians(face.yaw_deg))) * face.score

        if view > 1.1 * self.best_view:  # a crop costs more than the comparison
            self.best_view = view
            self.thumbnail = frame.rgb_crop(_to_thumbnail(face.box), THUMBNAIL_PX)
            self.thumbnail_uri = None

    def joined(self, other: PersonSeen) -> PersonSeen:
        """Return this and another sighting of the same person together."""
        best = max(self, other, key=lambda one: one.best_view)
        return PersonSeen(
            frames=self.frames + other.frames,
            first_seen_s=min(self.first_seen_s, other.first_seen_s),
            last_seen_s=max(self.last_seen_s, other.last_seen_s),
            boxes=sorted(self.boxes + other.boxes),
            yaw_range_deg=_widened(self.yaw_range_deg, other.yaw_range_deg),
            eye_px_range=_widened(self.eye_px_range, other.eye_px_range),
            best_view=best.best_view,
            thumbnail=best.thumbnail,
            thumbnail_uri=best.thumbnail_uri,
        )

    def to_record(self) -> SeenRecord:
        """Return the person for the task that gathers the parts of a long video."""
        return SeenRecord(
            frames=self.frames,
            first_seen_s=self.first_seen_s,
            last_seen_s=self.last_seen_s,
            boxes=tuple((time_s, _plain(box)) for time_s, box in self.boxes),
            yaw_range_deg=self.yaw_range_deg,
            eye_px_range=self.eye_px_range,
            best_view=self.best_view,
            thumbnail_uri=self._as_uri(),
        )

    @classmethod
    def of(cls, record: SeenRecord) -> PersonSeen:
        """Return the person that `to_record` wrote."""
        fields = {name: getattr(record, name) for name in type(record).model_fields}
        return cls(**fields | {"boxes": list(record.boxes)})

    def to_json(self, person_id: str) -> dict[str, Any]:
        """Return the person as the analysis' result shows them.

        At most 200 boxes [time, x, y, width, height], in pixels of the upright image.
        """
        # Rounded up, so that the bound holds.
        step = -(-len(self.boxes) // MOST_BOXES)
        return {
            "person_id": person_id,
            "frames": self.frames,
            "first_seen_s": round(self.first_seen_s, 3),
            "last_seen_s": round(self.last_seen_s, 3),
            "boxes": [[round(time_s, 3), *_rounded(box)] for time_s, box in self.boxes[::step]],
            "yaw_range_deg": [round(value, 1) for value in self.yaw_range_deg],
            "eye_px_range": [round(value, 1) for value in self.eye_px_range],
            "thumbnail": self._as_uri(),
        }

    def _as_uri(self) -> str | None:
        if self.thumbnail is None:
            return self.thumbnail_uri

        bgr = np.ascontiguousarray(self.thumbnail[:, :, ::-1])
        return "data:image/jpeg;base64," + base64.b64encode(encode_image(bgr, quality=85)).decode()


class People:
    """Everyone seen in an upload, by what was followed: whose it is may be settled late."""

    def __init__(self) -> None:
        # Tracks are held with what was seen of them, so that no other object gets the same id().
        self._seen: dict[int, tuple[Track, PersonSeen]] = {}
        self.frames = 0

    def add(self, frame: Frame, time_s: float, tracked: Sequence[TrackedFace]) -> None:
        """Count a frame and the faces in it."""
        self.frames += 1
        for one in tracked:
            _, person = self._seen.setdefault(id(one.track), (one.track, PersonSeen()))
            person.add(frame, one.face, time_s)

    def by_id(self, name: Callable[[Track], str]) -> dict[str, PersonSeen]:
        """Return everyone, in order of appearance, under the `person_id` that `name` gives."""
        return joined_by_id((name(track), seen) for track, seen in self._seen.values())

    def by_track(self) -> list[PersonSeen]:
        """Return what was followed, in order of appearance."""
        return [seen for _, seen in self._seen.values()]


def joined_by_id(named: Iterable[tuple[str, PersonSeen]]) -> dict[str, PersonSeen]:
    """Return everyone under their `person_id`, what is one person's joined."""
    people: dict[str, PersonSeen] = {}
    for person_id, seen in named:
        known = people.get(person_id)
        people[person_id] = seen if known is None else known.joined(seen)

    return people


def sorted_by_id(people: Mapping[str, PersonSeen]) -> dict[str, PersonSeen]:
    """Return people by the number in their `person_id`, which is their order of appearance."""
    return dict(sorted(people.items(), key=lambda item: int(item[0][1:])))


def renamed(people: Mapping[str, PersonSeen], surveyed: int) -> dict[str, PersonSeen]:
    """Return people with the next free ids for those whom the survey has missed."""
    free = count(surveyed + 1)
    return {
        f"p{next(free)}" if name.startswith(NEWCOMER) else name: person
        for name, person in people.items()
    }


def _widened(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return min(a[0], b[0]), max(a[1], b[1])


def _to_thumbnail(box: Box) -> Affine:
    left, top, right, bottom = box
    side = THUMBNAIL_MARGIN * max(right - left, bottom - top)
    scale = THUMBNAIL_PX / side
    x = (left + right - side) / 2
    y = (top + bottom - side) / 2

    return np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])


def _rounded(box: Box) -> Sequence[float]:
    left, top, right, bottom = box
    return [round(value, 1) for value in (left, top, right - left, bottom - top)]


def _plain(box: Box) -> Box:
    left, top, right, bottom = box
    return float(left), float(top), float(right), float(bottom)
