"""Signs what a use case made: the last thing that happens to a result's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from worker.errors import JobFailure, SigningFailed
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome, UseCase
from worker.media.media_types import sniff_file
from worker.provenance.manifest import Claim, SignedFile, sign
from worker.provenance.mark import is_too_small
from worker.provenance.marking import Marking
from worker.provenance.names import mark_name
from worker.provenance.order import ProvenanceOrder
from worker.provenance.resemblance import thinned
from worker.stores.blobs.durable_files import noticing_full_disk

MANIFEST_FILE = "manifest.c2pa"


@dataclass(frozen=True)
class Signing:
    """A use case whose results carry credentials, and whose reports say which."""

    use_case: UseCase
    pack: str

    def __call__(self, context: JobContext) -> Outcome | None:
        """Return the signed outcome; raises what the use case raises, and JobFailure."""
        outcome = self.use_case(context)
        if outcome is None or outcome.file is None:
            return outcome
        # Off by the operator's choice, which the report says of each result.
        if context.provenance is None or context.marking is None:
            return replace(outcome, report={**outcome.report, "provenance": _OFF})

        return self._signed(context, outcome, context.provenance, context.marking)

    def _signed(
        self, context: JobContext, outcome: Outcome, order: ProvenanceOrder, marking: Marking
    ) -> Outcome:
        assert outcome.file is not None  # noqa: S101 - the caller has looked
        # A claim of a mark that is not there would make verification call the file changed.
        is_marked = not is_too_small(outcome.height or 0, outcome.width or 0)
        # A second file: the signature is over the finished bytes of the first.
        destination = context.work / f"signed{outcome.suffix}"
        claim = Claim(
            job=context.job.id,
            pack=self.pack,
            version=order.version,
            consent_receipts=order.consent_receipts,
            mark_id=order.mark_id if is_marked else None,
            verify_url=order.verify_url,
            faces=_rectangles(context, outcome),
            allow_training=order.allow_training,
        )

        with context.input.open("rb") as file:
            # The upload becomes the parent ingredient, under the type that its bytes show.
            media_type, _ = sniff_file(file)

        try:
            with noticing_full_disk():
                signed = sign(
                    outcome.file,
                    destination,
                    outcome.media_type,
                    claim,
                    chain=order.chain,
                    sign_claim=context.sign,
                    original=(context.input, media_type or ""),
                    stamp=context.time_stamp if order.is_stamped else None,
                )
        except SigningFailed as error:
            raise JobFailure(FailureCode.SIGNING_FAILED, error.message) from error

        manifest = context.work / MANIFEST_FILE
        manifest.write_bytes(signed.manifest)
        report = {**outcome.report, "provenance": _report(order, signed, is_marked)}
        hashes = outcome.hashes or thinned(marking.hashes)

        return replace(
            outcome,
            file=destination if signed.embedded else outcome.file,
            report=report,
            manifest=manifest,
            hashes=tuple(hashes),
        )


_OFF: Mapping[str, Any] = {"c2pa": "off", "mark": "off"}


def _report(order: ProvenanceOrder, signed: SignedFile, is_marked: bool) -> dict[str, Any]:
    return {
        "c2pa": "embedded" if signed.embedded else "detached",
        "binding": signed.binding,
        "mark": "lk1" if is_marked else "too_small",
        "mark_id": mark_name(order.mark_id),
        "key": order.key_id,
        "timestamp": _timestamp(order, signed),
    }


def _timestamp(order: ProvenanceOrder, signed: SignedFile) -> str:
    if signed.is_stamped:
        return "present"
    return "missing" if order.is_stamped else "off"


def _rectangles(context: JobContext, outcome: Outcome) -> tuple[tuple[int, int, int, int], ...]:
    """Return the swapped faces' boxes of an image that was not scaled after they were found."""
    # Boxes are in the input's pixels; a scaled result has others.
    if context.job.kind != "swap_image" or context.job.payload.options.output.max_side:
        return ()

    swapped = [row["box"] for row in outcome.report.get("faces", ()) if row.get("frames_swapped")]
    return tuple(
        (max(0, round(x)), max(0, round(y)), round(width), round(height))
        for x, y, width, height in swapped
    )
