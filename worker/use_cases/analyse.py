"""Use case: who is in an upload? People with stable ids, where and how they are seen, and a
thumbnail of each.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np

from models.inference.arrays import Affine, Box, RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.people_survey import Surveyed
from models.inference.finding.tracks import Track, TrackedFace
from models.inference.frames.frame import Frame
from models.inference.frames.still_frame import StillFrame
from worker.errors import JobFailure
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome
from worker.media.animation import AnimationInfo, probe_animation, read_animation
from worker.media.images import decode_image, encode_image
from worker.settings import MediaLimits
from worker.video.frames.planes import FramePreparer, PictureFormat, i420_view
from worker.video.plan import plan_video
from worker.video.probe import is_video
from worker.video.reader import Span, VideoReader
from worker.video.survey import video_samples
from worker.video.video import Video

THUMBNAIL_PX: Final = 160
THUMBNAIL_MARGIN: Final = 1.6  # of the face's longer side: hair and chin belong to a face
MOST_BOXES: Final = 200
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
        )

    def to_json(self, person_id: str) -> dict[str, Any]:
        """Return the person as the analysis' result shows them.

        At most 200 boxes [time, x, y, width, height], in pixels of the upright image.
        """
        step = -(-len(self.boxes) // MOST_BOXES)
        return {
            "person_id": person_id,
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
    """Everyone seen in an upload, by what was followed: whose it is may be settled late."""

    def __init__(self) -> None:
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
        people: dict[str, PersonSeen] = {}
        for track, seen in self._seen.values():
            person_id = name(track)
            known = people.get(person_id)
            people[person_id] = seen if known is None else known.joined(seen)

        return people


@dataclass(frozen=True)
class Found:
    """People by `person_id`, the number of frames looked at, and facts about the upload."""

    people: Mapping[str, PersonSeen]
    frames: int
    facts: dict[str, Any]


@dataclass
class Analyse:
    """Carries out `analysis` jobs.

    The `person_id`s are those that a swap of the same upload gives.
    """

    engine: FaceSwapEngine
    limits: MediaLimits

    def __call__(self, context: JobContext) -> Outcome:
        """Return a JSON file with the people found.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        found = self._look(context)
        if not found.frames:
            raise JobFailure(FailureCode.UNDECODABLE, "The upload has no image that can be read.")

        people = [person.to_json(name) for name, person in sorted_by_id(found.people).items()]
        looked_at = {"frames_looked_at": found.frames}
        file = context.work / "analysis.json"
        file.write_text(json.dumps({**found.facts, **looked_at, "people": people}))

        return Outcome(
            file=file,
            media_type="application/json",
            suffix=".json",
            width=found.facts["width"],
            height=found.facts["height"],
            frames=found.frames,
            report={"people": len(people), **looked_at},
        )

    def _look(self, context: JobContext) -> Found:
        with context.input.open("rb") as file:
            if is_video(file):
                with Video(file, self.limits) as video:
                    return self._look_at_video(context, video)

        animation = probe_animation(context.input, self.limits)
        if animation is not None:
            return self._look_at_animation(context, animation)

        return self._look_at_still(context)

    def _look_at_still(self, context: JobContext) -> Found:
        image = decode_image(context.input, self.limits).bgr
        frame = StillFrame(image)
        people: dict[str, PersonSeen] = {}

        for number, face in enumerate(self.engine.detect(image), 1):
            people[f"p{number}"] = PersonSeen()
            people[f"p{number}"].add(frame, face, 0.0)

        context.progress(1, 1, "image")
        facts = {"kind": "image", "width": image.shape[1], "height": image.shape[0]}
        return Found(people, 1, facts)

    def _look_at_animation(self, context: JobContext, info: AnimationInfo) -> Found:
        survey = self.engine.survey()
        people = People()

        for animated in read_animation(context.input, self.limits):
            frame = StillFrame(animated.bgr)
            people.add(frame, animated.time_s, survey.add(frame, animated.time_s))
            context.progress(people.frames)

        context.progress(people.frames, people.frames, last=True)
        names = survey.names()
        facts = {
            "kind": "animation",
            "frames": people.frames,
            "width": info.width,
            "height": info.height,
        }

        return Found(people.by_id(lambda track: names[id(track)]), people.frames, facts)

    def _look_at_video(self, context: JobContext, video: Video) -> Found:
        """Look at the samples of a video, and at every frame of a short one.

        A swap names its people by the same samples.
        """
        info = video.info
        plan = plan_video(video)
        survey = self.engine.survey()
        people = People()

        for sample in video_samples(video, context.work):
            people.add(sample.frame, sample.time_s, survey.add(sample.frame, sample.time_s))
            context.progress(0, plan.frames)

        names = survey.names()
        facts = {
            "kind": "video",
            "frames": plan.frames,
            "width": info.width,
            "height": info.height,
            "fps": float(info.fps),
            "duration_s": info.duration_s,
        }

        if len(plan.segments) == 1:
            return self._follow(context, video, survey.result(), facts)

        context.progress(plan.frames, plan.frames, last=True)
        return Found(people.by_id(lambda track: names[id(track)]), people.frames, facts)

    def _follow(
        self, context: JobContext, video: Video, surveyed: Surveyed, facts: dict[str, Any]
    ) -> Found:
        picture = PictureFormat.of(video.info, None)
        preparer = FramePreparer(video.info, picture, context.work)
        tracker = self.engine.tracker(surveyed, NEWCOMER)
        people = People()

        for frame in VideoReader(video, preparer).frames(Span()):
            view = i420_view(frame.picture, picture.colour)
            people.add(view, frame.time_s, tracker.update(view, frame.time_s))
            context.progress(people.frames, facts["frames"])

        by_id = people.by_id(lambda track: track.person.person_id)
        return Found(renamed(by_id, len(surveyed.people)), people.frames, facts)


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
