"""Every failure code with its HTTP status, its title, and what to do about it.

The only place that maps codes to statuses. The codes of jobs, which have no status of their own,
are in `worker.failures`. Each code has a page, which the `type` of a problem leads to.
"""

from __future__ import annotations

from collections.abc import Mapping

ERRORS_PATH = "/errors"

# The contract with clients: codes are stable, titles and details may be reworded.
CODES: dict[str, tuple[int, str]] = {
    "invalid_json": (400, "The body is not valid JSON"),
    "invalid_parameter": (400, "A query parameter or header is not valid"),
    "invalid_cursor": (400, "The cursor is not one of this listing"),
    "bad_request": (400, "The request is malformed"),
    "unauthorized": (401, "A valid API key is needed"),
    "forbidden": (403, "The key lacks the scope for this call"),
    "consent_expired": (403, "The person's consent has expired"),
    "consent_scope": (403, "The person's consent does not cover this use"),
    "identity_blocked": (403, "This person must not be swapped here"),
    "not_found": (404, "Not found"),
    "method_not_allowed": (405, "The resource does not support this method"),
    "idempotency_in_progress": (409, "A request with this Idempotency-Key is still running"),
    "identity_review": (
        409,
        "The person resembles somebody who must not be swapped here; an operator decides",
    ),
    "job_not_final": (409, "The job has not ended yet"),
    "upload_in_use": (409, "A job in flight or a registration needs the upload"),
    "upload_offset": (409, "The part does not begin where the upload ends"),
    "upload_incomplete": (409, "Bytes of the upload are missing"),
    "presigned_unavailable": (409, "Media are in no bucket here; uploads go to the service"),
    "no_result": (409, "The job ended without a result"),
    "identity_erased": (410, "The identity was erased"),
    "result_expired": (410, "The result has expired and was deleted"),
    "link_expired": (410, "The signed URL has expired; read the job again for a new one"),
    "gone": (410, "What this request created has been deleted"),
    "tus_version": (412, "Another version of tus than 1.0.0"),
    "body_too_large": (413, "The body is too large"),
    "media_too_large": (413, "The image or video is too large"),
    "unsupported_media_type": (415, "The media type is not supported"),
    "range_not_satisfiable": (416, "The range lies outside the result"),
    "invalid_request": (422, "A field of the request is not valid"),
    "undecodable": (422, "The file is truncated or damaged"),
    "no_face": (422, "No face was found"),
    "several_faces": (422, "More than one face was found"),
    "photos_disagree": (422, "The photos seem to show different people"),
    "sexual_content": (422, "The file seems to show sexual content"),
    "apparent_minor": (422, "The person seems to be under 18"),
    "age_unsure": (
        422,
        "The person looks younger than 25; send a consent with adult and evidence_sha256",
    ),
    "low_quality": (422, "The photos are not good enough"),
    "consent_missing": (422, "A consent record is needed to register a face"),
    "digest_mismatch": (422, "The body does not match its Content-Digest"),
    "idempotency_mismatch": (422, "The Idempotency-Key was used for another request"),
    "refinement_unavailable": (422, "Refinement is not installed here"),
    "fetch_refused": (422, "The URL may not be fetched"),
    "fetch_failed": (422, "The URL could not be fetched"),
    "too_many_requests": (429, "Too many requests from this address"),
    "quota_exceeded": (429, "The tenant's quota is used up"),
    "blocklist_full": (429, "The never-swap list has no room"),
    "storage_quota": (429, "The tenant has too many bytes stored"),
    "internal": (500, "Internal error"),
    "too_many_waiters": (503, "Too many clients are waiting"),
    "queue_full": (503, "The queue is full"),
    "draining": (503, "The service is shutting down"),
    "store_unavailable": (503, "The store cannot be reached"),
    "store_full": (503, "The store is out of memory"),
    "media_unavailable": (503, "The media cannot be read or written"),
    "inspection_unavailable": (503, "Videos cannot be inspected right now"),
    "enrolment_busy": (503, "Too many registrations are waiting"),
    "enrolment_unavailable": (503, "Registration is not available right now"),
    "trust_key_broken": (503, "A key of this installation cannot be used"),
    "disk_full": (507, "The disk is full"),
}

# One remedy for each code; a test holds the table to the codes that exist.
WHAT_TO_DO: Mapping[str, str] = {
    "age_unsure": "Adults who look younger than 25 are registered with a consent whose `adult` is"
    " true and whose `evidence_sha256` names a document that shows it.",
    "apparent_minor": "Nothing overrides this. If the person is of age, use another photo; in a"
    " target, nobody who seems under 18 may appear.",
    "attempts_exhausted": "The job was begun several times and its worker died each time, most"
    " likely for want of memory. Send a smaller file, or ask the operator, who can requeue it.",
    "bad_identity": "The identity was registered with another model pack. Register it again.",
    "bad_request": "Send the request as the API's description says: look at the form's boundary and"
    " the headers.",
    "blocklist_full": "Remove entries that have ended, or raise the bound.",
    "body_too_large": "Send less: upload large files on their own and name them by id.",
    "consent_expired": "Ask the person again, and register with the new consent.",
    "consent_missing": "Send `consent` with who agreed, on what basis, to which uses, and when.",
    "consent_scope": "The person agreed to images or to videos only. Ask for the other, and"
    " register with that consent.",
    "deadline_exceeded": "The job was not done by its `Cancel-After`. Give it longer, or send a"
    " shorter video.",
    "digest_mismatch": "The bytes that arrived are not those of the `Content-Digest`. Send them"
    " again.",
    "disk_full": "Nothing of the request was kept. Try again later; the operator has to make room.",
    "draining": "The service is restarting. Try again after `Retry-After`.",
    "enrolment_busy": "Many registrations wait. Try again after `Retry-After`.",
    "enrolment_unavailable": "The models are not loaded. Try again after `Retry-After`; if it"
    " lasts, the operator's `likeness doctor` says why.",
    "export_unavailable": "The operator has not installed what exports identities, or this pack"
    " has no such graph.",
    "face_not_found": "Nobody in the target is the one chosen. An analysis of the upload names who"
    " is in it.",
    "fetch_failed": "The address did not answer with a file in time. Check it, or upload the file.",
    "fetch_refused": "Only public http and https addresses are fetched, on ports 80 and 443.",
    "forbidden": "Use a key that has the scope which the detail names.",
    "gone": "What the first request made has been deleted. Use a new Idempotency-Key.",
    "idempotency_in_progress": "The first request with this key still runs. Try again after"
    " `Retry-After`.",
    "idempotency_mismatch": "Use a new Idempotency-Key for every new request.",
    "identity_blocked": "The person has asked never to be swapped here. Nothing overrides this.",
    "identity_erased": "Register the person again, if they still agree.",
    "identity_review": "Somebody resembles a person who must never be swapped. An operator decides;"
    " the same request goes through once the case is released.",
    "input_missing": "The upload expired or was deleted before the job began. Upload it again.",
    "inspection_unavailable": "Files cannot be inspected right now. Try again after `Retry-After`.",
    "internal": "A bug of the service. The `request_id` finds it in the operator's log.",
    "internal_error": "A bug of the service, or a record of an earlier version. The job's id finds"
    " it in the operator's log.",
    "invalid_cursor": "Take `next_cursor` of the same listing as it is, or begin anew without one.",
    "invalid_json": "Send the body as JSON in UTF-8, without NaN and infinities.",
    "invalid_parameter": "Correct the parameter or header which the detail names.",
    "invalid_request": "Correct the fields that `errors` names.",
    "job_not_final": "Wait for the job's end: by `Prefer: wait`, by its events, or by a webhook.",
    "link_expired": "A signed URL is valid for ten to fifteen minutes. Read the job again: its"
    " `urls.result_signed` is a new one.",
    "low_quality": "Send a larger, sharper photo, taken from the front in even light.",
    "low_quality_result": "The result was worse than the `min_quality` asked for. Choose another"
    " target or photo, or ask for less.",
    "media_too_large": "Scale the image or video down, or cut it.",
    "media_unavailable": "The service's disk cannot be used. Try again after `Retry-After`.",
    "method_not_allowed": "Use a method that the `Allow` header names.",
    "no_face": "Use an image or video that shows a face from the front, large enough to be seen.",
    "no_result": "The job ended without a file; its `error` or its status says why.",
    "nobody_swapped": "Everybody who was chosen was left alone, for the reasons in the report:"
    " turned too far, too small, or hidden. Choose other frames or options.",
    "not_found": "Check the id. What belongs to another tenant answers like this, too.",
    "out_of_memory": "Send a smaller file.",
    "photos_disagree": "Send photos of one person only.",
    "queue_full": "Try again after `Retry-After`.",
    "quota_exceeded": "Wait until a job in flight has ended, or delete what is not needed.",
    "range_not_satisfiable": "Ask for a range within the size which `Content-Range` gives.",
    "refinement_unavailable": "Register with `quality` instant; the operator has not installed what"
    " refines.",
    "result_expired": "Results are kept for a day. Submit the job again.",
    "several_faces": "Crop the photo to the one person who is meant.",
    "sexual_content": "Nothing overrides this. If the file is not sexual, use another.",
    "signing_failed": "The result could not be signed. The operator's log says why.",
    "storage_quota": "Delete uploads and jobs that are not needed, or wait until they expire.",
    "store_full": "Try again later; the operator has to give the store more memory.",
    "store_unavailable": "Try again after `Retry-After`.",
    "timed_out": "An attempt took longer than it may. Send a shorter video.",
    "too_many_requests": "Try again after `Retry-After`.",
    "too_many_waiters": "Too many requests wait at once. Poll instead, or use a webhook.",
    "trust_key_broken": "The operator has to repair the keys; the log says which.",
    "unauthorized": "Send `Authorization: Bearer lk_...` with a key that is valid.",
    "undecodable": "The file is damaged or cut off. Check that it opens elsewhere, and save it"
    " anew.",
    "unsupported_media_type": "Send a format which the detail names.",
    "presigned_unavailable": "Upload to `/v1/uploads`, or in parts to `/v1/uploads/resumable`.",
    "tus_version": "Send `Tus-Resumable: 1.0.0`.",
    "upload_incomplete": "PUT the whole file to the URL first, or send the missing parts.",
    "upload_offset": "Ask with HEAD where the upload ends, and go on from there.",
    "upload_in_use": "Wait until the job in flight has ended.",
}


def type_of(code: str) -> str:
    """Return the address of a code's page, relative to the service."""
    return f"{ERRORS_PATH}/{code}"
