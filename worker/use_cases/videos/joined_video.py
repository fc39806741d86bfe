"""Joins the swapped segments of a video, and says in its report what became of everybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from worker.formats import MEDIA_TYPES
from worker.job_context import Outcome
from worker.provenance.resemblance import thinned
from worker.stores.blobs.durable_files import noticing_full_disk
from worker.use_cases.outcomes import assignment_outcomes, outcome_report, require_somebody
from worker.use_cases.videos.segment_swapper import VideoWork
from worker.video.frames.frame_format import FrameFormat
from worker.video.muxing.mux import MuxReport
from worker.video.plan import VideoPlan
from worker.video.records import PartRecord, add_timings, people_of
from worker.video.report import require_quality, video_quality
from worker.video.segments import join_segments


def join_parts(
    work: VideoWork, paths: Sequence[Path], parts: Sequence[PartRecord], counted: int = 0
) -> Outcome:
    """Join the segments; that adds nothing to the `counted` frames of this task.

    Reporting them is how a cancellation is heard.
    """
    context = work.context
    survey = work.survey
    settings = work.settings
    payload = context.job.payload
    people = people_of(survey, parts)
    outcomes = assignment_outcomes(payload, people, survey.unmatched)
    report = {"faces": people, "quality": video_quality(people), **outcome_report(outcomes)}
    require_somebody(payload, outcomes, report)
    # Before the join: a result that is not wanted need not be written.
    require_quality(people, payload.options.min_quality)

    output = context.work / f"video.{settings.format}"
    with noticing_full_disk():
        mux = join_segments(
            work.video,
            work.plan,
            paths,
            output,
            settings,
            watch=lambda _: context.progress(counted),
        )

    frame_format = FrameFormat.of(work.video.info, settings.max_side)
    return Outcome(
        file=output,
        media_type=MEDIA_TYPES[settings.format],
        suffix=f".{settings.format}",
        width=frame_format.width,
        height=frame_format.height,
        frames=mux.frames,
        hashes=thinned([word for part in parts for word in part.hashes]),
        report={
            **report,
            **_facts(work.plan, parts, mux),
            "notes": _notes(work.plan, parts, mux),
        },
        timings=add_timings(parts),
    )


def _facts(plan: VideoPlan, parts: Sequence[PartRecord], mux: MuxReport) -> dict[str, Any]:
    return {
        "frames": mux.frames,
        "cuts": sum(part.cuts for part in parts),
        "detections": sum(part.detections for part in parts),
        "segments": len(plan.segments),
        "tracks_copied": list(mux.copied),
    }


def _notes(plan: VideoPlan, parts: Sequence[PartRecord], mux: MuxReport) -> list[str]:
    notes = {note for part in parts for note in part.notes} | set(mux.notes)
    return sorted(notes | ({"truncated"} if plan.truncated else set()))
