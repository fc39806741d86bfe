"""Use case: swap faces in a film. A short one in one go.

A long one planned, swapped in parts, and joined.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from models.inference.engine import FaceSwapEngine
from worker.job_context import JobContext, Outcome
from worker.stores.durable_files import noticing_full_disk
from worker.use_cases.casting import Casting, swap_options
from worker.use_cases.swap_animation import SwapAnimation, as_animation_format, require_somebody
from worker.video.mux import MEDIA_TYPES, MuxReport
from worker.video.output import film_settings
from worker.video.plan import FilmPlan, PlannedSegment, plan_film
from worker.video.planes import PictureFormat
from worker.video.probe import VideoLimits, is_film, probe_video
from worker.video.report import PersonRow, film_quality, merge_rows, person_rows, require_quality
from worker.video.segments import FilmSettings, SegmentOutcome, join_segments, swap_segment
from worker.video.survey import Survey, key_frame_samples, survey_film

MUX_STEP: Final = "mux"
PART_SUFFIX: Final = ".nut"
PARTS_IN_FLIGHT: Final = 2  # a long film must not starve the others


@dataclass
class SwapVideo:
    """Carries out `swap_video` jobs on one engine."""

    engine: FaceSwapEngine
    casting: Casting
    limits: VideoLimits = field(default_factory=VideoLimits)

    def __call__(self, context: JobContext) -> Outcome | None:
        """The finished film, or None when this delivery did a part of one.

        Raises JobFailure, also as MediaError; what `context.progress` raises passes through.
        """
        step = context.task.step
        if step is None:
            return self._become_animation(context) or self._begin(context)
        if step == MUX_STEP:
            return self._finish(context)
        self._do_part(context, int(step[1:]))
        return None

    def _become_animation(self, context: JobContext) -> Outcome | None:
        """What is, or is to become, an animation takes a way of its own."""
        animations = SwapAnimation(self.engine, self.casting, self.limits)
        if not is_film(context.input):
            return animations.of_animation(context)
        format = as_animation_format(context.job.payload.options.output.format)
        return animations.of_film(context, format) if format else None

    def _begin(self, context: JobContext) -> Outcome | None:
        source, settings = context.input, self._settings(context)
        plan = plan_film(source, self.limits)
        if len(plan.segments) > 1:
            self._fan_out(context, plan)
            return None
        path = context.work / f"pictures{PART_SUFFIX}"
        part = self._swap(context, plan.segments[0], path, settings, Survey(), plan.frames)
        return self._join(context, plan, [path], [part], settings, counted=part["frames"])

    def _fan_out(self, context: JobContext, plan: FilmPlan) -> None:
        def watch(count: int) -> None:
            context.progress(0, plan.frames)

        assignments = self.casting.assignments(context.job.payload)
        samples = key_frame_samples(context.input, self.engine, self.limits, context.work)
        survey = survey_film(samples, assignments, watch)
        script = json.dumps({"film": plan.to_json(), "survey": survey.to_json()})
        steps = [f"s{segment.index:04d}" for segment in plan.segments]
        context.fan_out(steps, script, plan.frames, in_flight=PARTS_IN_FLIGHT)

    def _do_part(self, context: JobContext, index: int) -> None:
        script = json.loads(context.plan()[0])
        segment = FilmPlan.from_json(script["film"]).segments[index]
        path = context.work / f"part{PART_SUFFIX}"
        part = self._swap(
            context,
            segment,
            path,
            self._settings(context),
            Survey.from_json(script["survey"]),
            None,
        )
        sha256 = context.media.publish(context.job.id, path, PART_SUFFIX, part=True)
        context.finish_part(json.dumps({**part, "sha256": sha256}))

    def _finish(self, context: JobContext) -> Outcome:
        script, outcomes = context.plan()
        plan = FilmPlan.from_json(json.loads(script)["film"])
        parts = [json.loads(outcomes[f"s{segment.index:04d}"]) for segment in plan.segments]
        paths = [
            context.media.part_path(context.job.id, part["sha256"], PART_SUFFIX) for part in parts
        ]
        return self._join(context, plan, paths, parts, self._settings(context))

    def _settings(self, context: JobContext) -> FilmSettings:
        options, source = context.job.payload.options, context.input
        info = probe_video(source, self.limits)
        return film_settings(options.output, options.audio, source, info, self.limits)

    def _swap(
        self,
        context: JobContext,
        segment: PlannedSegment,
        path: Path,
        settings: FilmSettings,
        survey: Survey,
        total: int | None,
    ) -> dict[str, Any]:
        assignments = survey.resolve(self.casting.assignments(context.job.payload))
        options = swap_options(context.job.payload.options, measure_similarity=True)
        swapper = self.engine.sequence(assignments, options, people=survey.people)
        with noticing_full_disk():
            outcome = swap_segment(
                context.input,
                segment,
                path,
                swapper,
                settings,
                lambda done: context.progress(done, total),
            )
        context.progress(outcome.frames, total, last=True)
        return _part_record(outcome)

    def _join(
        self,
        context: JobContext,
        plan: FilmPlan,
        paths: Sequence[Path],
        parts: Sequence[Mapping[str, Any]],
        settings: FilmSettings,
        counted: int = 0,
    ) -> Outcome:
        """Joining adds nothing to the `counted` frames of this task.

        Reporting them is how a cancellation is heard.
        """
        people = merge_rows([part["people"] for part in parts])
        require_somebody(people)
        require_quality(people, context.job.payload.options.min_quality)
        output = context.work / f"film.{settings.format}"
        with noticing_full_disk():
            mux = join_segments(
                context.input, plan, paths, output, settings, lambda _: context.progress(counted)
            )
        picture = PictureFormat.of(probe_video(context.input, self.limits), settings.max_side)
        return Outcome(
            file=output,
            media_type=MEDIA_TYPES[settings.format],
            suffix=f".{settings.format}",
            width=picture.width,
            height=picture.height,
            frames=mux.frames,
            report=_report(people, plan, parts, mux),
            timings=_timings(parts),
        )


def _part_record(outcome: SegmentOutcome) -> dict[str, Any]:
    stages = {"decode_ms": outcome.times.decode_s * 1e3, "encode_ms": outcome.times.encode_s * 1e3}
    return {
        "frames": outcome.frames,
        "people": person_rows(outcome.report),
        "cuts": outcome.report.cuts,
        "detections": outcome.report.detections,
        "notes": list(outcome.notes),
        "timings": {**stages, **outcome.engine_ms},
    }


def _report(
    people: Sequence[PersonRow], plan: FilmPlan, parts: Sequence[Mapping[str, Any]], mux: MuxReport
) -> dict[str, Any]:
    notes = {note for part in parts for note in part["notes"]} | set(mux.notes)
    return {
        "faces": list(people),
        "quality": film_quality(people),
        "frames": mux.frames,
        "cuts": sum(part["cuts"] for part in parts),
        "detections": sum(part["detections"] for part in parts),
        "segments": len(plan.segments),
        "tracks_copied": list(mux.copied),
        "notes": sorted(notes | ({"truncated"} if plan.truncated else set())),
    }


def _timings(parts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    names = {name for part in parts for name in part["timings"]}
    return {name: sum(part["timings"].get(name, 0.0) for part in parts) for name in sorted(names)}
