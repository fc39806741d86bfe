"""The quality report: what happened to each person of a video, as JSON rows that add up over
segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from models.inference.options import FrameReport, PersonReport, SequenceReport
from worker.media.media_errors import QualityTooLow

PersonRow = dict[str, Any]

GOOD_SIMILARITY: Final = 0.5  # cosine to the identity that counts as fully met
STILL_JITTER_PX: Final = 1.0  # of the 224 template: what a steady face has at most


def person_rows(report: SequenceReport) -> list[PersonRow]:
    """One row per person, in order of appearance."""
    return [_row(person) for person in report.people]


def stage_ms(report: FrameReport) -> dict[str, float]:
    """Return the engine's times for one frame, in milliseconds by stage."""
    return {
        "detect_ms": report.detect_ms,
        "swap_ms": report.swap_ms,
        "blend_ms": report.blend_ms,
    }


def merge_rows(parts: Sequence[Sequence[PersonRow]]) -> list[PersonRow]:
    """Return the video's rows from its segments' rows.

    Counts add up, means are weighted by frames, ranges widen.
    """
    merged: dict[str, PersonRow] = {}
    for row in (row for rows in parts for row in rows):
        name = row["person_id"]
        merged[name] = _added(merged[name], row) if name in merged else dict(row)

    return list(merged.values())


def video_quality(rows: Sequence[PersonRow]) -> float:
    """0..1: how well the worst of the people who should have been swapped was; 0 when nobody was.

    The share of their frames that were swapped, lessened where the identity was not met or the face
    trembles.
    """
    # People whom nobody asked to swap do not lower the quality.
    wanted = [row for row in rows if row["identity_id"]]
    # The worst, not the mean: one bad face spoils the video.
    return min((_quality(row) for row in wanted), default=0.0)


def require_quality(rows: Sequence[PersonRow], least: float | None) -> None:
    """Raise QualityTooLow for a video whose quality is below `least`."""
    quality = video_quality(rows)
    if least is not None and quality < least:
        raise QualityTooLow(
            f"the video's quality is {quality:.2f}; the job asked for at least {least:.2f}"
        )


def _quality(row: Mapping[str, Any]) -> float:
    swapped = row["frames_swapped"] / max(1, row["frames_seen"])
    similarity = row["identity_similarity"]
    met = 1.0 if similarity is None else min(1.0, max(0.0, similarity / GOOD_SIMILARITY))
    return float(swapped * met * min(1.0, STILL_JITTER_PX / max(row["jitter_px"], 1e-6)))


def _row(person: PersonReport) -> PersonRow:
    return {
        "person_id": person.person_id,
        # Keys of the engine carry the quality behind the id.
        "identity_id": person.identity_key.partition(":")[0] if person.identity_key else None,
        "assignment": person.assignment,
        "frames_seen": person.frames_seen,
        "frames_swapped": person.frames_swapped,
        "frames_skipped": dict(person.frames_skipped),
        "identity_similarity": person.identity_similarity,
        "jitter_px": person.jitter,
        "yaw_range_deg": list(person.yaw_range_deg),
        "first_seen_s": person.first_seen_s,
        "last_seen_s": person.last_seen_s,
    }


def _added(a: PersonRow, b: PersonRow) -> PersonRow:
    reasons = a["frames_skipped"].keys() | b["frames_skipped"].keys()
    skipped = {
        reason: a["frames_skipped"].get(reason, 0) + b["frames_skipped"].get(reason, 0)
        for reason in reasons
    }
    return {
        "person_id": a["person_id"],
        "identity_id": a["identity_id"] or b["identity_id"],
        "assignment": a["assignment"] if a["assignment"] is not None else b["assignment"],
        "frames_seen": a["frames_seen"] + b["frames_seen"],
        "frames_swapped": a["frames_swapped"] + b["frames_swapped"],
        "frames_skipped": skipped,
        # Measured on swapped frames only, so weighted by those.
        "identity_similarity": _mean(a, b, "identity_similarity", "frames_swapped"),
        "jitter_px": _mean(a, b, "jitter_px", "frames_seen"),
        "yaw_range_deg": [
            min(a["yaw_range_deg"][0], b["yaw_range_deg"][0]),
            max(a["yaw_range_deg"][1], b["yaw_range_deg"][1]),
        ],
        "first_seen_s": min(a["first_seen_s"], b["first_seen_s"]),
        "last_seen_s": max(a["last_seen_s"], b["last_seen_s"]),
    }


def _mean(a: PersonRow, b: PersonRow, name: str, weight: str) -> float | None:
    known = [(row[name], row[weight]) for row in (a, b) if row[name] is not None]
    total = sum(count for _, count in known)

    if not known:
        return None

    return (
        float(sum(value * count for value, count in known) / total) if total else float(known[0][0])
    )
