"""Use case: who is in an upload? People with stable ids, where and how they are seen, and a
thumbnail of each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from models.inference.engine import FaceSwapEngine
from models.inference.finding.survey.gathering import gather
from models.inference.finding.survey.surveyed import Surveyed
from models.inference.frames.image_frame import ImageFrame
from worker.errors import JobFailure
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome
from worker.media.animation import AnimationInfo, probe_animation, read_animation
from worker.media.images import decode_image
from worker.settings import MediaLimits
from worker.use_cases.people_seen import (
    NEWCOMER,
    People,
    PersonSeen,
    joined_by_id,
    renamed,
    sorted_by_id,
)
from worker.use_cases.videos.survey_tasks import (
    fan_out_survey,
    finish_part,
    read_survey,
    samples_of_task,
)
from worker.video.frames.frame_format import FrameFormat, square_size
from worker.video.frames.planes import FramePreparer, i420_view
from worker.video.plan import VideoPlan, plan_video
from worker.video.probe import is_video
from worker.video.reader import Span, VideoReader
from worker.video.surveys.samples import video_samples
from worker.video.surveys.survey_parts import SurveyPartRecord
from worker.video.video import Video

REPORT_STEP: Final = "report"


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

    def __call__(self, context: JobContext) -> Outcome | None:
        """Return a JSON file with the people found, or None when this delivery did a part of it.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        found = self._look(context)
        if found is None:
            return None
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

    def _look(self, context: JobContext) -> Found | None:
        # By its bytes, not by the endpoint: analyses take images, animations and videos alike.
        with context.input.open("rb") as file:
            if is_video(file):
                with Video(file, self.limits) as video:
                    return self._look_at_video(context, video)

        # Before the image: an animation's first frame would pass for one.
        animation = probe_animation(context.input, self.limits)
        if animation is not None:
            return self._look_at_animation(context, animation)

        return self._look_at_image(context)

    def _look_at_image(self, context: JobContext) -> Found:
        image = decode_image(context.input, self.limits).bgr
        frame = ImageFrame(image)
        people: dict[str, PersonSeen] = {}

        for number, face in enumerate(self.engine.detect(image), 1):
            people[f"p{number}"] = PersonSeen()
            # By place from left to right, as a swap of the image counts them.
            people[f"p{number}"].add(frame, face, 0.0)

        context.progress(1, 1, "image")
        # What is said of the upload besides its people.
        facts = {"kind": "image", "width": image.shape[1], "height": image.shape[0]}
        return Found(people, 1, facts)

    def _look_at_animation(self, context: JobContext, info: AnimationInfo) -> Found:
        survey = self.engine.survey()
        people = People()

        for animated in read_animation(context.input, self.limits):
            frame = ImageFrame(animated.bgr)
            people.add(frame, animated.time_s, survey.add(frame, animated.time_s))
            context.progress(people.frames)

        context.progress(people.frames, people.frames, last=True)
        # Known only at the end: tracks that were apart for a while turn out to be one person.
        names = survey.names()
        facts = {
            "kind": "animation",
            "frames": people.frames,
            "width": info.width,
            "height": info.height,
        }

        return Found(people.by_id(lambda track: names[id(track)]), people.frames, facts)

    def _look_at_video(self, context: JobContext, video: Video) -> Found | None:
        """Look at the samples of a video, and at every frame of a short one; a long one is looked
        at in parts.

        A swap names its people by the same samples.
        """
        step = context.task.step
        if step == REPORT_STEP:
            return self._gather(context, video)
        if step is not None:
            self._look_at_part(context, video)
            return None

        plan = plan_video(video)
        if len(plan.segments) > 1:
            fan_out_survey(context, plan, following=REPORT_STEP)
            return None

        survey = self.engine.survey()
        for sample in video_samples(video, context.work):
            survey.add(sample.frame, sample.time_s)
            context.progress(0, plan.frames)

        # The samples name the people, every frame says where they are.
        return self._follow(context, video, survey.result(), _facts(video, plan))

    def _look_at_part(self, context: JobContext, video: Video) -> None:
        survey = self.engine.survey()
        people = People()

        for sample in samples_of_task(context, video):
            context.progress(0)
            tracked = survey.add(sample.frame, sample.time_s)
            people.add(sample.frame, sample.time_s, tracked)

        # By track: names are known once all parts are gathered.
        seen = tuple(one.to_record() for one in people.by_track())
        finish_part(context, SurveyPartRecord.of(survey.part()).model_copy(update={"seen": seen}))

    def _gather(self, context: JobContext, video: Video) -> Found:
        plan, parts = read_survey(context)
        names = gather([part.part() for part in parts]).names
        people = joined_by_id(
            (name, PersonSeen.of(seen))
            for part, tracks in zip(parts, names, strict=True)
            for name, seen in zip(tracks, part.seen, strict=True)
        )
        context.progress(plan.frames, plan.frames, last=True)

        return Found(people, sum(len(part.times_s) for part in parts), _facts(video, plan))

    def _follow(
        self, context: JobContext, video: Video, surveyed: Surveyed, facts: dict[str, Any]
    ) -> Found:
        frame_format = FrameFormat.of(video.info, None)
        preparer = FramePreparer(video.info, frame_format, context.work)
        tracker = self.engine.tracker(surveyed, NEWCOMER)
        people = People()

        for frame in VideoReader(video, preparer).frames(Span()):
            view = i420_view(frame.image, frame_format.colour)
            people.add(view, frame.time_s, tracker.update(view, frame.time_s))
            context.progress(people.frames, facts["frames"])

        by_id = people.by_id(lambda track: track.person.person_id)
        return Found(renamed(by_id, len(surveyed.people)), people.frames, facts)


def _facts(video: Video, plan: VideoPlan) -> dict[str, Any]:
    info = video.info
    width, height = square_size(info)  # where the boxes of faces lie
    return {
        "kind": "video",
        "frames": plan.frames,
        "width": width,
        "height": height,
        "fps": float(info.fps),
        "duration_s": info.duration_s,
    }
