"""The sentences of the OpenAPI document that belong to no single route or model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SUMMARY = "Register a face once, swap it into any image or video."
ABOUT = """An identity is registered from one to eight photos of one person, with that person's
consent on record. A swap is a job: it is accepted at once, followed by polling, by server-sent
events or by a webhook, and ends with a result or a reason.

Times are RFC 3339 with a zone, sizes are bytes, lengths are pixels, and names with a unit (`_ms`,
`_s`, `_px`, `_deg`) are in that unit. Every failure is an RFC 9457 problem with a stable `code`."""

LICENCE: dict[str, str] = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
CONTACT: dict[str, str] = {"name": "The maintainers of Likeness"}

TAGS: Mapping[str, str] = {
    "uploads": "Files that jobs and registrations name by id, for a day.",
    "identities": "Registered faces, each with its consent; they are erased with a receipt.",
    "swaps": "Jobs that put identities into images and videos, or say who is in them.",
    "batches": "Many swaps by one request: one status, one message, one file of results.",
    "jobs": "Jobs: read, wait for, follow, cancel and delete them, and fetch their results.",
    "webhooks": "Receivers of the events of jobs, by Standard Webhooks 1.0.",
    "keys": "API keys of the caller's own tenant.",
    "blocklist": "People who must never be swapped, and requests to be among them.",
    "audit": "The chained and signed trail of what was done.",
    "verify": "Where a file comes from; open to everybody.",
    "capacity": "The packs in use, and how busy the service is.",
    "health": "Whether the service is alive, started and ready; and its metrics.",
}

# Where a function's name is not what a client's method should be called.
OPERATION_IDS: Mapping[str, str] = {
    "add_entry": "addBlocklistEntry",
    "approve_request": "approveBlocklistRequest",
    "ask_to_be_listed": "createBlocklistRequest",
    "list_entries": "listBlocklistEntries",
    "list_reviews": "listBlocklistReviews",
    "read_request": "getBlocklistRequest",
    "release_review": "releaseBlocklistReview",
    "remove_entry": "deleteBlocklistEntry",
    "withdraw_request": "withdrawBlocklistRequest",
    "analyse": "createAnalysis",
    "capacity": "getCapacity",
    "create_endpoint": "createWebhookEndpoint",
    "delete_endpoint": "deleteWebhookEndpoint",
    "estimate": "createEstimate",
    "export_events": "exportAuditEvents",
    "get_default_secret": "getWebhookSecret",
    "get_endpoint": "getWebhookEndpoint",
    "get_head": "getAuditHead",
    "job_events": "getJobEvents",
    "job_manifest": "getJobManifest",
    "job_result": "getJobResult",
    "list_endpoints": "listWebhookEndpoints",
    "list_events": "listAuditEvents",
    "livez": "getLiveness",
    "metrics": "getMetrics",
    "list_deliveries": "listWebhookDeliveries",
    "preview": "createPreview",
    "readyz": "getReadiness",
    "redeliver": "redeliverWebhookMessage",
    "rename_identity": "updateIdentity",
    "rotate_secret": "rotateWebhookSecret",
    "startupz": "getStartup",
    "test_endpoint": "testWebhookEndpoint",
    "verify": "verifyFile",
}

PARAMETERS: Mapping[str, str] = {
    "cursor": "`next_cursor` of the page before; without it, the first page.",
    "entry_id": "The id of an entry of the never-swap list, `blk_` and 26 characters.",
    "endpoint_id": "The id of a webhook endpoint, `whe_` and 26 characters.",
    "message_id": "The `webhook-id` of a message, as the list of deliveries has it.",
    "identity_id": "The id of an identity, `idn_` and 26 characters.",
    "batch_id": "The id of a batch, `bat_` and 26 characters.",
    "job_id": "The id of a job, `job_` and 26 characters.",
    "key_id": "The id of a key: what stands between `lk_` and the next `_`.",
    "kind": "Only jobs of this kind.",
    "limit": "How many entries a page has at most.",
    "mark_id": "The id of an output's mark, eight hex digits.",
    "review_id": "The id of a case, `rev_` and 32 hex digits.",
    "status": "Only jobs with this status.",
    "upload_id": "The id of an upload, `upl_` and 26 characters.",
}

FORM_FIELDS: Mapping[str, str] = {
    "contact": "How the operator can reach you; sealed.",
    "file": "The file, of any type.",
    "identity_id": "The identity to swap in; give this or `assignments`.",
    "image": "The image, or the photos of one person.",
    "keep_days": "Days until the entry ends.",
    "label": "A name for the entry.",
    "name": "A name for lists, for the caller's own use.",
    "priority": "Which of the tenant's own jobs go first.",
    "quality": "`refined` improves the identity in the background for some minutes.",
    "reason": "Why the person is to be listed.",
    "video": "The video or animation.",
    "webhook": "Where to send the job's end, beside the tenant's endpoints.",
}


_ENDS: Mapping[str, tuple[str, str]] = {
    "jobEnded": (
        "A job has ended",
        "Sent to every webhook endpoint, and to the job's own `webhook`, when a job ends that is"
        " in no batch.",
    ),
    "batchFinished": (
        "A batch is finished",
        "Sent to every webhook endpoint, and to the batch's own `webhook`, when the last job of a"
        " batch has ended.",
    ),
}


def webhook(event: str, name: str) -> dict[str, Any]:
    """Return the operation of a receiver; `event` is the reference of what it is sent."""
    summary, description = _ENDS[name]
    content = {"application/json": {"schema": {"$ref": event}}}
    return {
        "operationId": name,
        "tags": ["webhooks"],
        "summary": summary,
        "description": (
            f"{description} Signed as Standard Webhooks 1.0 says: verify `webhook-id`,"
            " `webhook-timestamp` and `webhook-signature` with the secret before reading the body."
        ),
        "security": [],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "Received; any other 2xx will do as well."},
            "410": {"description": "Nothing more is sent to this address."},
        },
    }
