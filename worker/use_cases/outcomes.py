"""What became of a job's assignments: said for each, and whether the job as a whole succeeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from worker.contract.jobs import AssignmentOutcome, AssignmentStatus
from worker.contract.options import Assignment
from worker.contract.requests import JobPayload
from worker.errors import JobFailure
from worker.failures import FailureCode

PersonRow = Mapping[str, Any]

# Details of the failure; the code is what clients branch on.
DETAILS = {
    "no_face": "No face was found.",
    "face_not_found": "No face matches the selection.",
    "nobody_swapped": "Every chosen face was left alone",
}


def assignment_outcomes(
    payload: JobPayload, rows: Sequence[PersonRow], unmatched: Mapping[int, str]
) -> list[AssignmentOutcome]:
    """Return what became of each assignment, in the payload's order.

    `rows` are the report's people, each with the index of the `assignment` that chose them;
    `unmatched` says by index why an assignment chose nobody of its own.
    """
    return [
        _outcome(index, assignment, rows, unmatched)
        for index, assignment in enumerate(payload.assignments)
    ]


def outcome_report(outcomes: Sequence[AssignmentOutcome]) -> dict[str, Any]:
    """Return the report's members `outcome` and `assignments`."""
    # Partial success is success with a note: the client paid for frames that were swapped.
    is_whole = all(one.status == "swapped" for one in outcomes)
    return {
        "outcome": "succeeded" if is_whole else "partial",
        "assignments": [one.model_dump(mode="json") for one in outcomes],
    }


def require_somebody(
    payload: JobPayload, outcomes: Sequence[AssignmentOutcome], report: Mapping[str, Any]
) -> None:
    """Raise JobFailure `no_face`, `face_not_found` or `nobody_swapped` when nobody was swapped,
    unless the job allows that; `report` goes with it.
    """
    if payload.options.allow_unswapped or any(one.frames_swapped for one in outcomes):
        return

    code = FailureCode.NO_FACE
    detail = DETAILS[code]

    if any(one.status == "left_alone" for one in outcomes):
        code = FailureCode.NOBODY_SWAPPED
        reasons = sorted({one.reason for one in outcomes if one.reason})
        # All reasons, since several people may have been left alone for different ones.
        detail = f"{DETAILS[code]}: {', '.join(reasons)}."
    # Somebody is there, and nobody of them was meant.
    elif report["faces"]:
        code = FailureCode.FACE_NOT_FOUND
        detail = DETAILS[code]

    raise JobFailure(code, detail, {**report, "outcome": "failed"})


def _outcome(
    index: int, assignment: Assignment, rows: Sequence[PersonRow], unmatched: Mapping[int, str]
) -> AssignmentOutcome:
    mine = [row for row in rows if row["assignment"] == index]
    swapped = sum(row["frames_swapped"] for row in mine)
    left_alone: Counter[str] = Counter()

    for row in mine:
        left_alone.update(row["frames_skipped"])

    # The most frequent one; the report has all.
    reason = max(left_alone, key=lambda name: left_alone[name], default=None)
    if not mine:
        reason = unmatched.get(index, "nobody_matches") if rows else "no_face"

    return AssignmentOutcome(
        index=index,
        face=assignment.face,
        identity_id=assignment.identity_id,
        status=_status(mine, swapped, left_alone, reason),
        reason=reason,
        person_ids=tuple(row["person_id"] for row in mine),
        frames_swapped=swapped,
        frames_left_alone=dict(left_alone),
    )


def _status(
    mine: Sequence[PersonRow], swapped: int, left_alone: Mapping[str, int], reason: str | None
) -> AssignmentStatus:
    if not mine:
        # Somebody is there, but may not or cannot be swapped.
        is_known = reason in {"already_assigned", "not_sure", "not_a_face"}
        return "left_alone" if is_known else "not_found"

    if not swapped:
        return "left_alone"

    return "partly" if left_alone else "swapped"
