"""A first look at a target: a few of its frames, who is in them, and who of them becomes whom."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from models.inference.arrays import BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.people import SAME_PERSON
from models.inference.finding.survey.surveyed import Surveyed
from models.inference.frames.frame import Frame
from models.inference.frames.image_frame import ImageFrame
from models.inference.swapping.selection import Assignment
from worker.contract.options import PersonSelector
from worker.errors import JobFailure
from worker.failures import FailureCode
from worker.job_context import JobContext
from worker.media.animation import probe_animation, read_animation
from worker.media.images import decode_image
from worker.settings import MediaLimits
from worker.use_cases.target_examiner import TargetExaminer
from worker.video.glimpses import PLACES, Glimpse, glimpses
from worker.video.probe import is_video
from worker.video.surveys.choices import survey_samples
from worker.video.surveys.samples import Sample, video_samples
from worker.video.surveys.survey import Survey
from worker.video.video import Video

NOBODY = ""  # the name of a face that is not surely one of the surveyed people


@dataclass(frozen=True)
class Looked:
    """One frame, the faces in it from left to right, and the `person_id` of each."""

    bgr: BgrImage
    time_s: float
    faces: Sequence[MeshedFace]
    names: Sequence[str]


@dataclass(frozen=True)
class Seen:
    """The frames looked at, the survey they were named by, and what examined them.

    An image has no survey: its swap chooses among the faces that are found in it. `count` is the
    number of frames of an image or animation.
    """

    frames: Sequence[Looked]
    survey: Survey | None
    examiner: TargetExaminer
    count: int = 1


@dataclass(frozen=True)
class FirstLook:
    """Looks at the targets of previews and estimates."""

    engine: FaceSwapEngine
    limits: MediaLimits

    def look(self, context: JobContext, assignments: Sequence[Assignment]) -> Seen:
        """Return up to three frames of the target, with everybody in them named.

        Who is named by `person_id` is found by the samples of the whole target, as a swap does it;
        that takes longer than a look at three frames, which is enough for all other selectors.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        # Only then: the survey of a whole video takes as long as decoding it.
        named = any(isinstance(one.face, PersonSelector) for one in context.job.payload.assignments)

        with context.input.open("rb") as file:
            if is_video(file):
                with Video(file, self.limits) as video:
                    shown = list(glimpses(video, context.work))
                    samples = video_samples(video, context.work) if named else _samples(shown)
                    return self._seen(context, shown, samples, assignments)

        if probe_animation(context.input, self.limits) is None:
            return self._image(context)

        count, shown = self._animation_glimpses(context)
        samples = self._every(context) if named else _samples(shown)
        return replace(self._seen(context, shown, samples, assignments), count=count)

    def _image(self, context: JobContext) -> Seen:
        """Return an image's people by their place in it, as its swap names them."""
        image = decode_image(context.input, self.limits).bgr
        faces = self.engine.detect(image)
        examiner = TargetExaminer(self.engine)
        examiner.look(ImageFrame(image), list(enumerate(faces)))
        names = [f"p{number}" for number in range(1, len(faces) + 1)]

        return Seen([Looked(image, 0.0, faces, names)], None, examiner)

    def _animation_glimpses(self, context: JobContext) -> tuple[int, list[Glimpse]]:
        """Return how many frames an animation has, and three of them; all are decoded for it."""
        # Decoded twice and never held: all frames at once may not fit into memory.
        count = sum(1 for _ in read_animation(context.input, self.limits))
        # A set: of a very short animation two places may be one frame.
        places = {int(place * count) for place in PLACES}
        shown = [
            Glimpse(frame.bgr, frame.time_s)
            for number, frame in enumerate(read_animation(context.input, self.limits))
            if number in places
        ]
        if not shown:
            raise JobFailure(FailureCode.UNDECODABLE, "The upload has no image that can be read.")

        return count, shown

    def _every(self, context: JobContext) -> Iterator[Sample]:
        for frame in read_animation(context.input, self.limits):
            yield Sample(ImageFrame(frame.bgr), frame.time_s)

    def _seen(
        self,
        context: JobContext,
        shown: Sequence[Glimpse],
        samples: Iterable[Sample],
        assignments: Sequence[Assignment],
    ) -> Seen:
        def watch(_: int) -> None:
            context.progress(0, len(shown), "image")

        examiner = TargetExaminer(self.engine)
        found: dict[float, list[MeshedFace]] = {}

        def examine(
            frame: Frame, faces: Sequence[tuple[Hashable, MeshedFace]], time_s: float
        ) -> None:
            examiner.look(frame, faces, time_s)
            found[time_s] = sorted((face for _, face in faces), key=lambda face: face.box[0])

        survey = survey_samples(self.engine, samples, assignments, watch, examine)
        frames = [self._looked(glimpse, survey.surveyed, found) for glimpse in shown]
        return Seen(frames, survey, examiner)

    def _looked(
        self, glimpse: Glimpse, surveyed: Surveyed, found: Mapping[float, Sequence[MeshedFace]]
    ) -> Looked:
        """Return a frame with its faces named; finding them once is most of a preview's time."""
        frame = ImageFrame(glimpse.bgr)
        faces = found.get(glimpse.time_s)
        if faces is None:
            faces = self.engine.detect(glimpse.bgr)

        names = [self._name(frame, face, surveyed) for face in faces]
        return Looked(glimpse.bgr, glimpse.time_s, faces, names)

    def _name(self, frame: ImageFrame, face: MeshedFace, surveyed: Surveyed) -> str:
        view = self.engine.encoder.recognise(frame, face.landmarks)
        alike = {one.person_id: cosine_similarity(view, one.embedding) for one in surveyed.people}
        best = max(alike, key=lambda name: alike[name], default=NOBODY)
        return best if alike.get(best, -1.0) >= SAME_PERSON else NOBODY


def _samples(shown: Sequence[Glimpse]) -> list[Sample]:
    return [Sample(ImageFrame(glimpse.bgr), glimpse.time_s) for glimpse in shown]
