"""The survey of a long video as tasks: each looks at some segments and keeps what it saw as a part
of the job; a last one reads them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from models.inference.engine import FaceSwapEngine
from worker.job_context import JobContext
from worker.use_cases.target_examiner import TargetExaminer
from worker.video.plan import VideoPlan
from worker.video.records import PlanRecord
from worker.video.surveys.samples import Sample, video_samples
from worker.video.surveys.survey_parts import SurveyPartRecord, span_of_step, survey_steps
from worker.video.video import Video

SURVEY: Final = "v"  # begins the names of the survey's steps
SUFFIX: Final = ".json"
PARTS_IN_FLIGHT: Final = 2  # of one video: it must not starve the others


def fan_out_survey(context: JobContext, plan: VideoPlan, following: str) -> None:
    """Have the video surveyed in parts, and then the step `following` done."""
    context.fan_out(
        survey_steps(plan),
        PlanRecord(plan=plan).model_dump_json(),
        plan.frames,
        in_flight=PARTS_IN_FLIGHT,
        following=following,
    )


def survey_part(context: JobContext, video: Video, engine: FaceSwapEngine) -> None:
    """Look at the samples of this task's segments."""
    survey = engine.survey()
    examiner = TargetExaminer(engine)

    for sample in samples_of_task(context, video):
        context.progress(0)
        tracked = survey.add(sample.frame, sample.time_s)
        faces = [(id(one.track), one.face) for one in tracked]
        examiner.look(sample.frame, faces, sample.time_s)

    # Of this part alone: a person may look their age in one part and not in another.
    ages = examiner.ages()
    by_track = {number: ages[one] for one, number in survey.numbers().items() if one in ages}
    finish_part(context, SurveyPartRecord.of(survey.part(), examiner.nudity_scores, by_track))


def samples_of_task(context: JobContext, video: Video) -> Iterator[Sample]:
    """Return the samples that this task looks at."""
    plan = PlanRecord.model_validate_json(context.plan()[0]).plan
    return video_samples(video, context.work, span_of_step(plan, context.task.step or ""))


def finish_part(context: JobContext, record: SurveyPartRecord) -> None:
    """Keep what was seen as a part of the job; the store gets its hash alone."""
    path = context.work / f"seen{SUFFIX}"
    path.write_text(record.model_dump_json())
    context.finish_part(context.publish_part(path, SUFFIX))


def read_survey(context: JobContext) -> tuple[VideoPlan, list[SurveyPartRecord]]:
    """Return the plan, and what all parts of the survey saw, in the video's order."""
    plan_json, outcomes = context.plan()
    plan = PlanRecord.model_validate_json(plan_json).plan
    files: list[Path] = [context.part(outcomes[step], SUFFIX) for step in survey_steps(plan)]
    return plan, [SurveyPartRecord.model_validate_json(file.read_text()) for file in files]
