"""From what a confined child saw in a file to what may be said about its origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from service.schemas.trust import C2paReport, MarkReport, RecordReport, Verdict, Verification
from worker.provenance.provenance_store import ProvenanceRecord, ProvenanceStore
from worker.provenance.resemblance import nearest, resembles

ABSENCE = "A missing mark does not show that a file is genuine."
COPIED = (
    "The mark belongs to another output: it was copied onto this file, or the file was changed"
    " beyond recognition."
)
EXPIRED = (
    "The mark is of this installation, but no record of it is kept any more, so a copied mark"
    " cannot be ruled out."
)
ELSEWHERE = "Signs of another installation of Likeness; this one cannot prove them."
CHANGED = "The content credentials do not fit the file: it was changed after they were signed."
AI_MODIFIED = "Faces in this file were replaced by an AI model."


@dataclass(frozen=True)
class Seen:
    """What the child reports: credentials, marks by this installation's keys, fingerprints."""

    c2pa: C2paReport
    mark_found: bool
    mark_ids: Sequence[str]
    hashes: Sequence[Sequence[int]]
    made_by_likeness: bool = False


NOTHING_SEEN = Seen(
    c2pa=C2paReport(
        state="absent", signer="", issued_on="", actions=(), ingredients=0, problems=()
    ),
    mark_found=False,
    mark_ids=(),
    hashes=(),
)


def judge(seen: Seen, sha256: str, records: ProvenanceStore, public_url: str) -> Verification:
    """Return what can be said; `sha256` is of the file's bytes.

    `made_here` needs the very bytes, our intact signature, or a proved mark whose record resembles
    the file: a mark alone can be lifted from one video and put onto another.
    """
    # The bytes themselves are the strongest proof, and need no decoding.
    exact = records.find(sha256)
    # Several marks may be read from a collage; the first one with a record counts.
    marked = next((record for mark in seen.mark_ids if (record := records.get(mark))), None)
    known = marked is not None and resembles(nearest(seen.hashes, marked.hashes), marked.hashes)
    record = exact or (marked if known else None)

    verdict = _verdict(seen, record, copied=marked is not None and record is None)
    return Verification(
        verdict=verdict,
        c2pa=seen.c2pa,
        mark=MarkReport(found=seen.mark_found, ours=bool(seen.mark_ids)),
        record=_report(record, exact is not None, records, public_url),
        notes=tuple(_notes(verdict, seen)),
    )


def _verdict(seen: Seen, record: ProvenanceRecord | None, *, copied: bool) -> Verdict:
    if record is not None or seen.c2pa.state == "trusted":
        return "made_here"
    # Before `elsewhere`: the mark is ours, and yet the file is not.
    if copied:
        return "mark_copied"
    if seen.mark_found or (seen.made_by_likeness and seen.c2pa.state == "valid"):
        return "likeness_elsewhere"

    return "signed_by_others" if seen.c2pa.state == "valid" else "no_mark_found"


def _report(
    record: ProvenanceRecord | None, exact: bool, records: ProvenanceStore, public_url: str
) -> RecordReport | None:
    if record is None:
        return None

    has_manifest = bool(record.manifest_sha256) and records.manifest(record.mark_id) is not None
    url = f"{public_url}/v1/verify/manifests/{record.mark_id}" if has_manifest else None
    return RecordReport(day=record.day, kind=record.kind, exact=exact, manifest_url=url)


def _notes(verdict: Verdict, seen: Seen) -> list[str]:
    notes: dict[Verdict, str] = {
        "made_here": AI_MODIFIED,
        "mark_copied": COPIED,
        "likeness_elsewhere": EXPIRED if seen.mark_ids else ELSEWHERE,
        "no_mark_found": ABSENCE,
    }

    chosen = [notes[verdict]] if verdict in notes else []
    # A broken signature is worth a note in every verdict, also beside a proved mark.
    return [*chosen, CHANGED] if seen.c2pa.state == "invalid" else chosen


def seen_by_child(header: dict[str, Any]) -> Seen:
    """Return a child's report, checked: it may come from a compromised process.

    Raises ValueError.
    """
    credentials = header["c2pa"]
    marks = header["mark_ids"]
    hashes = header["hashes"]

    # Ids become file names: nothing else may reach the store.
    if not all(isinstance(mark, str) and len(mark) == 8 for mark in marks):
        raise ValueError("a mark id has eight hex digits")
    words = [word for frame in hashes for word in frame]
    if not all(isinstance(word, int) and 0 <= word < 1 << 64 for word in words):
        raise ValueError("a fingerprint has 64 bits")

    return Seen(
        c2pa=C2paReport.model_validate(credentials),
        mark_found=bool(header["mark_found"]),
        mark_ids=tuple(marks),
        hashes=tuple(tuple(frame) for frame in hashes),
        made_by_likeness=bool(header["made_by_likeness"]),
    )
