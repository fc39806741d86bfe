"""A swap in one call: photos, consent and target in one form, an identity for this job alone."""

from __future__ import annotations

from anyio import to_thread
from fastapi import Request

from service import schemas
from service.caller import Caller
from service.identities.erasing import IdentityEraser
from service.identities.registration import Registration
from service.identities.registration_request import RegistrationRequest
from service.intake.incoming import Incoming
from service.jobs.submission import JobSubmission
from service.jobs.submission_request import Submission, cancel_after_s
from service.protocol.idempotency import fingerprint, key_of
from service.protocol.problems import ServiceError
from worker.contract.options import Assignment
from worker.contract.requests import IdempotencyKey
from worker.errors import IdentityErased, UnknownIdentity
from worker.stores.jobs.job_store import Admission, JobStore

# The job's deadline, and the end of an identity whose job was never accepted. Else it ends with the
# job: `lua/settle.lua` hands it to the expiry sweep.
TEMPORARY_S = 3600.0


class OneCall:
    """Registers a face and submits the swap that uses it."""

    def __init__(
        self,
        registration: Registration,
        submission: JobSubmission,
        eraser: IdentityEraser,
        jobs: JobStore,
    ) -> None:
        self._registration = registration
        self._submission = submission
        self._eraser = eraser
        self._jobs = jobs

    async def submit(
        self,
        request: Request,
        caller: Caller,
        form: schemas.OneCallForm,
        photos: Incoming,
        target: Incoming,
    ) -> Admission:
        """Return the accepted job; what fails leaves no identity behind.

        Raises forbidden, and what registering and submitting raise.
        """
        if "identities:write" not in caller.scopes:
            raise ServiceError("forbidden", "The key lacks the scope identities:write")

        idempotency = _idempotency(request, form, photos, target)
        if idempotency is not None:
            replayed = await to_thread.run_sync(self._jobs.replayed, caller.tenant, idempotency)
            if replayed is not None:
                return replayed

        registering = RegistrationRequest(
            schemas.RegisterForm(name=form.name, consent=form.consent),
            erased_after_s=None if form.keep_identity else TEMPORARY_S,
        )
        identity = await self._registration.register(caller, registering, photos)
        submission = _submission(request, form, identity.id, idempotency)

        try:
            admission = await self._submission.submit(caller, submission, target)
        except BaseException:
            await self._erase(caller, identity.id)
            raise

        if admission.replayed:  # by a request that came in between
            await self._erase(caller, identity.id)

        return admission

    async def _erase(self, caller: Caller, identity_id: str) -> None:
        try:
            await to_thread.run_sync(self._eraser.erase, caller, identity_id, False)
        except (UnknownIdentity, IdentityErased):
            return


def _idempotency(
    request: Request, form: schemas.OneCallForm, photos: Incoming, target: Incoming
) -> IdempotencyKey | None:
    key = key_of(request)
    if key is None:
        return None

    digests = [file.sha256 for file in (*photos.files, *target.files)]
    return IdempotencyKey(key, fingerprint(request, *digests, form.model_dump_json()))


def _submission(
    request: Request,
    form: schemas.OneCallForm,
    identity_id: str,
    idempotency: IdempotencyKey | None,
) -> Submission:
    deadline_s = cancel_after_s(request)
    if not form.keep_identity:
        deadline_s = min(deadline_s or TEMPORARY_S, TEMPORARY_S)

    return Submission(
        kind="swap_image",
        assignments=(Assignment(face=form.options.faces, identity_id=identity_id),),
        options=form.options,
        webhook=form.webhook,
        metadata=dict(form.metadata),
        priority=form.priority,
        source=None,
        deadline_s=deadline_s,
        idempotency=idempotency,
        temporary_identity=None if form.keep_identity else identity_id,
    )
