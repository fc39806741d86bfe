"""Admission of a job: consent and format are checked, then one atomic step accepts or refuses."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from service.caller import Caller
from service.identities.consent import check_use
from service.intake.fetching import GuardedClient
from service.intake.incoming import IncomingFile
from service.jobs.submission_request import Submission
from service.protocol.observability import current_traceparent
from service.protocol.problems import ServiceError
from service.settings import Settings
from worker.contract.requests import JobKind, JobRequest
from worker.formats import ANIMATION_FORMATS, IMAGE_FORMATS, VIDEO_FORMATS, swap_kind
from worker.provenance.names import mark_name
from worker.provenance.provenance_store import ProvenanceStore
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.jobs.job_store import Admission, JobStore
from worker.stores.media.media_store import MediaStore
from worker.stores.media.uploads import MediaRecord

# Of inputs that come with a job, which stay longer only while a job needs them: time enough to send
# the same job again with other options. Uploads are what is to be used for longer.
_INPUT_TTL_S = 600.0

# Refused at once instead of by the worker: an image cannot become a video, nor a video a single
# image.
_IMPOSSIBLE_FORMATS = {
    "swap_image": frozenset(VIDEO_FORMATS),
    "swap_video": frozenset(IMAGE_FORMATS) - frozenset(ANIMATION_FORMATS),
}


@dataclass(frozen=True)
class Input:
    """What a job works on: an upload, which `is_new` when it came with the request."""

    record: MediaRecord | None
    is_new: bool = False


class JobAdmission:
    """Admits jobs; its methods are synchronous and are called from threads."""

    def __init__(
        self,
        settings: Settings,
        jobs: JobStore,
        media: MediaStore,
        identities: IdentityStore,
        records: ProvenanceStore,
        poster: GuardedClient,
    ) -> None:
        self._consent_required = settings.require_consent
        # Without provenance no output has a mark, and none is promised in the record.
        self._is_marking = settings.provenance == "on"
        self._jobs = jobs
        self._media = media
        self._identities = identities
        self._records = records
        self._poster = poster

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
            # For a clear answer now; a name's address is checked at each delivery.
            self._poster.require_plausible(submission.webhook)
        for identity_id in submission.payload(caller.tenant, None, "").identities():
            identity = self._identities.peek(identity_id, caller.tenant)
            check_use(identity, submission.kind, self._consent_required)

        if submission.idempotency is None:
            return None

        # Last: the checks above cost less than receiving a file, and hold for a repeated request
        # too.
        return self._jobs.replayed(caller.tenant, submission.idempotency)

    def keep(self, caller: Caller, submission: Submission, received: IncomingFile | None) -> Input:
        """Return the input, which is kept as an upload if it was received; an export has none.

        Raises UnknownMedia, StorageQuotaExceeded, DiskFull, StoreError.
        """
        if submission.kind == "export":
            return Input(None)
        if received is not None:
            return Input(received.keep(_INPUT_TTL_S), is_new=True)

        upload_id = submission.source.upload_id if submission.source else None
        return Input(self._media.stat(upload_id or "", caller.tenant))

    def drop(self, given: Input) -> None:
        """Delete an input that came with a request for which there is no job."""
        # A store too slow to say so may have accepted the job: then the input is held.
        if given.record is not None and given.is_new:
            self._media.delete_unless_held(given.record.id)

    def admit(self, caller: Caller, submission: Submission, given: Input) -> Admission:
        """Accept the job and deliver it; its input is dropped where it is refused, or was before.

        Raises unsupported_media_type, consent_scope, and what `JobStore.admit` raises.
        """
        try:
            # Now that the bytes are here; a path may not decide what a file is.
            if given.record is not None:
                _check_kind(submission.kind, given.record)
                self._check_scope(caller, submission, given.record)

            request = self._request(caller, submission, given.record)
            admission = self._jobs.admit(request, submission.idempotency, deliver=True)
        except BaseException:
            self.drop(given)
            raise

        # The job uses the upload of the first request.
        if admission.replayed:
            self.drop(given)

        return admission

    def _request(
        self, caller: Caller, submission: Submission, record: MediaRecord | None
    ) -> JobRequest:
        input_id = record.id if record else None
        payload = submission.payload(caller.tenant, input_id, current_traceparent())
        # Drawn here, once, so that every attempt at the job makes the same bytes.
        mark_id = self._free_mark() if self._is_marking else None

        return JobRequest(
            payload=payload.model_copy(update={"mark_id": mark_id}),
            priority=submission.priority,
            deadline_s=submission.deadline_s,
            input_bytes=record.bytes if record else 0,
            temporary_identity=submission.temporary_identity,
            batch=submission.batch,
            webhook=submission.webhook,
            metadata=submission.metadata,
            actor=caller.key_id,
        )

    def _check_scope(self, caller: Caller, submission: Submission, record: MediaRecord) -> None:
        """Raise consent_scope unless a preview's identities may be used for what it previews."""
        if submission.kind not in ("preview", "estimate"):
            return

        facts = record.facts
        for identity_id in submission.payload(caller.tenant, None, "").identities():
            identity = self._identities.get(identity_id, caller.tenant)
            check_use(identity, swap_kind(facts.media_type, facts.frames), self._consent_required)

    def _free_mark(self) -> int:
        """Return a mark id that no output has: of 65,000 outputs two would share one by chance.

        The later one would take the other's record, whose marks would then be called copied.
        """
        mark_id = secrets.randbits(32)
        while self._records.get(mark_name(mark_id)) is not None:
            mark_id = secrets.randbits(32)

        return mark_id


def _check_kind(kind: JobKind, record: MediaRecord) -> None:
    facts = record.facts
    fitting = swap_kind(facts.media_type, facts.frames)

    if kind == "swap_image" and not facts.media_type.startswith("image/"):
        raise ServiceError("unsupported_media_type", "The input is a video; use /v1/swaps/video")
    if kind == "swap_image" and fitting == "swap_video":
        raise ServiceError(
            "unsupported_media_type",
            f"The input is animated ({facts.frames} frames); /v1/swaps/video keeps all of them",
        )

    if kind == "swap_video" and fitting == "swap_image":
        raise ServiceError(
            "unsupported_media_type", "The input is a single image; use /v1/swaps/image"
        )
