"""Use case: who is in an upload? People with stable ids, where and how they are seen, and a
thumbnail of each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from models.inference.arrays import Affine, Box, RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import MeshedFace
from models.inference.frames.frame import Frame
from models.inference.frames.still_frame import StillFrame
from worker.errors import JobFailure
from worker.job_context import JobContext, Outcome
from worker.media.images import decode_image, encode_image
from worker.settings import MediaLimits
from worker.video.frames.planes import FramePreparer, PictureFormat, i420_view
from worker.video.plan import plan_video
from worker.video.probe import is_video
from worker.video.reader import Span, VideoReader
from worker.video.survey import key_frame_samples
from worker.video.video import Video

THUMBNAIL_PX: Final = 160
THUMBNAIL_MARGIN: Final = 1.6  # of the face's longer side: hair and chin belong to a face
MOST_BOXES: Final = 200

Sighting = tuple[str, MeshedFace]


@dataclass
class PersonSeen:
    """One person, gathered frame by frame."""

    person_id: str
    frames: int = 0
    first_seen_s: float = 0.0
    last_seen_s: float = 0.0
    boxes: list[tuple[float, Box]] = field(default_factory=list)
    yaw_range_deg: tuple[float, float] = (180.0, -180.0)
    eye_px_range: tuple[float, float] = (1e9, 0.0)
    best_view: float = -1.0
    thumbnail: RgbImage | None = None

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
        view = face.eye_px * float(np.cos(np.radians(face.yaw_deg))) * face.score
        if view > 1.1 * self.best_view:  # a crop costs more than the comparison
            self.best_view = view
            self.thumbnail = frame.rgb_crop(_to_thumbnail(face.box), THUMBNAIL_PX)

    def to_json(self) -> dict[str, Any]:
        """The person as the analysis' result shows them.

        At most 200 boxes [time, x, y, width, height].
        """
        step = -(-len(self.boxes) // MOST_BOXES)
        return {
            "person_id": self.person_id,
            "frames": self.frames,
            "first_seen_s": round(self.first_seen_s, 3),
            "last_seen_s": round(self.last_seen_s, 3),
            "boxes": [[round(time_s, 3), *_rounded(box)] for time_s, box in self.boxes[::step]],
            "yaw_range_deg": [round(value, 1) for value in self.yaw_range_deg],
            "eye_px_range": [round(value, 1) for value in self.eye_px_range],
            "thumbnail": self._thumbnail_uri(),
        }

    def _thumbnail_uri(self) -> str | None:
        if self.thumbnail is None:
            return None
        bgr = np.ascontiguousarray(self.thumbnail[:, :, ::-1])
        return "data:image/jpeg;base64," + base64.b64encode(encode_image(bgr, quality=85)).decode()


class People:
    """Everyone seen in an upload, in order of appearance."""

    def __init__(self) -> None:
        self._seen: dict[str, PersonSeen] = {}
        self.frames = 0

    def add(self, frame: Frame, time_s: float, sightings: Iterable[Sighting]) -> None:
        self.frames += 1
        for person_id, face in sightings:
            self._seen.setdefault(person_id, PersonSeen(person_id)).add(frame, face, time_s)

    def to_json(self) -> list[dict[str, Any]]:
        return [person.to_json() for person in self._seen.values()]


@dataclass
class Analyse:
    """Carries out `analysis` jobs.

    The `person_id`s are those that a swap of the same upload gives.
    """

    engine: FaceSwapEngine
    limits: MediaLimits

    def __call__(self, context: JobContext) -> Outcome:
        """A JSON file with the people found.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        people, facts = self._look(context)
        if not people.frames:
            raise JobFailure("input_unreadable", "The upload has no picture that can be read.")
        file = context.work / "analysis.json"
        file.write_text(
            json.dumps({**facts, "frames_looked_at": people.frames, "people": people.to_json()})
        )
        report = {"people": len(people.to_json()), "frames_looked_at": people.frames}
        return Outcome(
            file,
            "application/json",
            ".json",
            facts["width"],
            facts["height"],
            people.frames,
            report,
        )

    def _look(self, context: JobContext) -> tuple[People, dict[str, Any]]:
        with context.input.open("rb") as file:
            if not is_video(file):
                return self._look_at_still(context)
            with Video(file, self.limits) as video:
                return self._look_at_video(context, video)

    def _look_at_still(self, context: JobContext) -> tuple[People, dict[str, Any]]:
        picture = decode_image(context.input, self.limits)
        people = People()
        faces = self.engine.detect(picture.bgr)
        people.add(
            StillFrame(picture.bgr),
            0.0,
            [(f"p{index + 1}", face) for index, face in enumerate(faces)],
        )
        context.progress(1, 1, "image")
        return people, {
            "kind": "image",
            "width": picture.bgr.shape[1],
            "height": picture.bgr.shape[0],
        }

    def _look_at_video(self, context: JobContext, video: Video) -> tuple[People, dict[str, Any]]:
        info = video.info
        plan = plan_video(video)
        people = People()
        if len(plan.segments) == 1:
            self._follow(context, video, people, plan.frames)
        else:  # a swap of this video names people by the same samples
            for sample in key_frame_samples(video, self.engine, context.work):
                people.add(
                    sample.view,
                    sample.time_s,
                    [(face.person_id, face.face) for face in sample.faces],
                )
                context.progress(people.frames)
        facts = {
            "width": info.width,
            "height": info.height,
            "fps": float(info.fps),
            "duration_s": info.duration_s,
        }
        return people, {"kind": "video", "frames": plan.frames, **facts}

    def _follow(self, context: JobContext, video: Video, people: People, total: int) -> None:
        picture = PictureFormat.of(video.info, None)
        preparer = FramePreparer(video.info, picture, context.work)
        tracker = self.engine.tracker()
        for frame in VideoReader(video, preparer).frames(Span()):
            view = i420_view(frame.picture, picture.colour)
            people.add(
                view,
                frame.time_s,
                [(face.person_id, face.face) for face in tracker.update(view, frame.time_s)],
            )
            context.progress(people.frames, total)


def _to_thumbnail(box: Box) -> Affine:
    left, top, right, bottom = box
    side = THUMBNAIL_MARGIN * max(right - left, bottom - top)
    scale = THUMBNAIL_PX / side
    x, y = (left + right - side) / 2, (top + bottom - side) / 2
    return np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])


def _rounded(box: Box) -> Sequence[float]:
    left, top, right, bottom = box
    return [round(value, 1) for value in (left, top, right - left, bottom - top)]
