"""Export an identity: one file with which a phone or a browser swaps it, away from this service."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from models.device.bundle import DeviceExporter
from models.device.errors import DeviceTemplateError
from models.device.template import load_templates
from models.inference.engine import FaceSwapEngine
from models.inference.errors import BadIdentityError
from worker.contract.options import ExportOptions
from worker.errors import JobFailure
from worker.failures import FailureCode
from worker.job_context import JobContext, Outcome
from worker.provenance.names import mark_name
from worker.use_cases.identity_loader import IdentityLoader

FILE = "identity.zip"
# For whoever gets the file: what the person has agreed to travels with it.
CONSENT_TEXT = (
    "This file swaps one person's face. The person agreed to its export until the date on which it"
    " expires; after it, or when the consent is withdrawn, delete the file. Say of every image and"
    " video that is made with it that it was made by AI."
)


@dataclass
class ExportIdentity:
    """The use case `export`."""

    engine: FaceSwapEngine
    loader: IdentityLoader

    def __call__(self, context: JobContext) -> Outcome:
        """Return the bundle, and a report of what is in it.

        Raises:
            JobFailure: `export_unavailable`, `identity_erased`, `bad_identity`.
            Canceled, Superseded.
        """
        payload = context.job.payload
        order = payload.export
        assert order is not None  # noqa: S101 - admission makes no export without one
        (identity_id,) = payload.identities()
        code, weights = self.loader.stored(identity_id, context.identities)
        file = context.work / FILE
        # Without provenance the file is unsigned, and players say so.
        sign = context.sign if context.provenance else None

        try:
            manifest = self._exporter.write(
                file, order.form, code, weights, _facts(context, order), sign
            )
        except (DeviceTemplateError, BadIdentityError) as error:
            raise JobFailure(FailureCode.EXPORT_UNAVAILABLE, error.message) from error

        context.progress(1, 1, "step", last=True)
        return Outcome(
            file, media_type="application/zip", suffix=".zip", report={"export": manifest}
        )

    @cached_property
    def _exporter(self) -> DeviceExporter:
        pack = self.engine.pack
        canonical = self.engine.painter.canonical
        if canonical is None or not pack.has("device"):
            raise DeviceTemplateError(f"identities of the pack {pack.name} cannot be exported")

        return DeviceExporter(pack.id, canonical, load_templates(pack.device))


def _facts(context: JobContext, order: ExportOptions) -> dict[str, Any]:
    """Return what the manifest says about this export; it names no person."""
    provenance = context.provenance
    facts: dict[str, Any] = {
        # The one link back: an operator can find who exported, the file itself names nobody.
        "export": context.job.id,
        "created_at": _moment(context.job.created_at),
        "expires_at": _moment(order.expires_at),
        "consent_text": CONSENT_TEXT,
        "licence": "Apache-2.0",
    }

    if provenance is not None:
        facts |= {
            "mark": mark_name(provenance.mark_id),
            "consent_receipts": list(provenance.consent_receipts),
            "certificates": base64.b64encode(provenance.chain.encode()).decode(),
        }

    return facts


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
