"""Admission of a job: consent and format are checked, then one atomic step accepts or refuses."""

from __future__ import annotations

import logging
import secrets

from service.caller import Caller
from service.identities.consent import check_use
from service.intake.fetching import checked_url
from service.intake.incoming import IncomingFile
from service.jobs.submission_request import Submission
from service.protocol.observability import current_traceparent
from service.protocol.problems import ServiceError
from service.settings import Settings
from worker.contract.jobs import JobRecord
from worker.contract.requests import QUEUE_OF, JobKind, JobRequest
from worker.errors import StoreError
from worker.formats import ANIMATION_FORMATS, IMAGE_FORMATS, VIDEO_FORMATS
from worker.provenance.names import mark_name
from worker.provenance.provenance_store import ProvenanceStore
from worker.stores.audit_log import AuditLog
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.job_queue import JobQueue
from worker.stores.jobs.job_store import Admission, JobStore
from worker.stores.media.media_store import MediaStore
from worker.stores.media.uploads import MediaRecord

log = logging.getLogger(__name__)

# Of inputs that come with a job, which stay longer only while a job needs them: time enough to send
# the same job again with other options. Uploads are what is to be used for longer.
_INPUT_TTL_S = 600.0

# Refused at once instead of by the worker: an image cannot become a video, nor a video a single
# image.
_IMPOSSIBLE_FORMATS = {
    "swap_image": frozenset(VIDEO_FORMATS),
    "swap_video": frozenset(IMAGE_FORMATS) - frozenset(ANIMATION_FORMATS),
}


class JobAdmission:
    """Admits jobs; its methods are synchronous and are called from threads."""

    def __init__(
        self,
        settings: Settings,
        jobs: JobStore,
        queue: JobQueue,
        media: MediaStore,
        identities: IdentityStore,
        audit: AuditLog,
        records: ProvenanceStore,
    ) -> None:
        self._consent_required = settings.require_consent
        # Without provenance no output has a mark, and none is promised in the record.
        self._is_marking = settings.provenance == "on"
        self._jobs = jobs
        self._queue = queue
        self._media = media
        self._identities = identities
        self._audit = audit
        self._records = records

    def check(self, caller: Caller, submission: Submission) -> Admission | None:
        """Raise unless the job could be admitted, as far as its request alone can tell.

        It comes before anything is fetched for a client. Returns the job of an earlier request
        with the same Idempotency-Key, whose input may be deleted by now. Raises invalid_request,
        fetch_refused, consent_missing, consent_expired, consent_scope, UnknownIdentity,
        IdentityErased, IdempotencyMismatch, Gone.
        """
        wanted = submission.options.output.format
        if wanted in _IMPOSSIBLE_FORMATS.get(submission.kind, ()):
            raise ServiceError("invalid_request", f"This kind of input cannot become {wanted}")
        if submission.webhook is not None:
            checked_url(submission.webhook)
        for identity_id in submission.payload(caller.tenant, None, "").identities():
            identity = self._identities.peek(identity_id, caller.tenant)
            check_use(identity, submission.kind, self._consent_required)

        if submission.idempotency is None:
            return None

        # Last: the checks above cost less than receiving a file, and hold for a repeated request
        # too.
        return self._jobs.replayed(caller.tenant, submission.idempotency)

    def admit(
        self, caller: Caller, submission: Submission, received: IncomingFile | None
    ) -> Admission:
        """Accept the job and deliver it; `received` is its input, unless it names an upload.

        Raises unsupported_media_type, UnknownMedia, and what `JobStore.admit` raises.
        """
        record = self._input(caller, submission, received)
        input_id = record.id if record else None
        payload = submission.payload(caller.tenant, input_id, current_traceparent())
        # Drawn here, once, so that every attempt at the job makes the same bytes.
        mark_id = self._free_mark() if self._is_marking else None
        request = JobRequest(
            payload=payload.model_copy(update={"mark_id": mark_id}),
            priority=submission.priority,
            deadline_s=submission.deadline_s,
            input_bytes=record.bytes if record else 0,
            temporary_identity=submission.temporary_identity,
            webhook=submission.webhook,
            metadata=submission.metadata,
        )

        try:
            # Now that the bytes are here; a path may not decide what a file is.
            if record:
                _check_kind(submission.kind, record)
                self._check_scope(caller, submission, record)

            admission = self._jobs.admit(request, submission.idempotency)
        except BaseException:
            # A store too slow to say so may have accepted the job: then the input is held.
            if received and record:
                self._media.delete_unless_held(record.id)
            raise

        # A repeated request has been delivered and audited before.
        if not admission.replayed:
            self._deliver(caller, admission.job)
        elif received and record:
            self._media.delete(record.id)  # the job uses the upload of the first request

        return admission

    def _check_scope(self, caller: Caller, submission: Submission, record: MediaRecord) -> None:
        """Raise consent_scope unless a preview's identities may be used for what it previews."""
        if submission.kind not in ("preview", "estimate"):
            return
        for identity_id in submission.payload(caller.tenant, None, "").identities():
            identity = self._identities.get(identity_id, caller.tenant)
            check_use(identity, _swap_kind(record), self._consent_required)

    def _free_mark(self) -> int:
        """Return a mark id that no output has: of 65,000 outputs two would share one by chance.

        The later one would take the other's record, whose marks would then be called copied.
        """
        mark_id = secrets.randbits(32)
        while self._records.get(mark_name(mark_id)) is not None:
            mark_id = secrets.randbits(32)

        return mark_id

    def _input(
        self, caller: Caller, submission: Submission, received: IncomingFile | None
    ) -> MediaRecord | None:
        """Return the input's record; an export has none."""
        if submission.kind == "export":
            return None
        if received is not None:
            return received.keep(_INPUT_TTL_S)

        upload_id = submission.source.upload_id if submission.source else None
        return self._media.stat(upload_id or "", caller.tenant)

    def _deliver(self, caller: Caller, job: JobRecord) -> None:
        """Deliver the job and write the use of its identities to the audit log.

        The job is accepted already, so a failure here must not look like a refusal: the
        reconciler delivers it.
        """
        try:
            self._queue.deliver(QUEUE_OF[job.kind])
            for identity_id in sorted(job.payload.identities()):
                event = "identity.exported" if job.kind == "export" else "identity.used"
                self._audit.append(event, caller.tenant, caller.key_id, identity_id, job=job.id)
        except StoreError as error:
            log.error("store failed after admission", extra={"job": job.id, "code": error.code})


def _swap_kind(record: MediaRecord) -> JobKind:
    """Return which swap takes this upload."""
    facts = record.facts
    is_still = facts.media_type == "image/tiff" or (facts.frames or 1) == 1
    return "swap_image" if facts.media_type.startswith("image/") and is_still else "swap_video"


def _check_kind(kind: JobKind, record: MediaRecord) -> None:
    is_image = record.facts.media_type.startswith("image/")
    frames = record.facts.frames or 1
    is_animated = not is_image or frames > 1

    if kind == "swap_image" and not is_image:
        raise ServiceError("unsupported_media_type", "The input is a video; use /v1/swaps/video")
    # The pages of a TIFF are not frames of one scene: the first is the image.
    if kind == "swap_image" and is_animated and record.facts.media_type != "image/tiff":
        raise ServiceError(
            "unsupported_media_type",
            f"The input is animated ({frames} frames); /v1/swaps/video keeps all of them",
        )

    if kind == "swap_video" and not is_animated:
        raise ServiceError(
            "unsupported_media_type", "The input is a still image; use /v1/swaps/image"
        )
