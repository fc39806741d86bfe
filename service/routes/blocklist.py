"""The never-swap list: an operator keeps it, anybody may ask to be on it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from service.caller import Caller
from service.intake.forms import FormRules, read_form
from service.protocol.bodies import media_type, parse_fields
from service.protocol.openapi import MEDIA, problems, success
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from service.routes.auth import caller_with
from service.schemas import blocklist as schemas
from service.schemas.fields import at
from service.trust.blocklisting import CROWDED, PUBLIC
from worker.blocklist import records, reviews
from worker.blocklist.entries import CROWDED_AT

router = APIRouter(prefix="/v1/blocklist", tags=["blocklist"])

Operator = Annotated[Caller, Depends(caller_with("operator"))]
Token = Annotated[
    str, Header(alias="Blocklist-Token", max_length=200, description="From the request's answer.")
]

# Without a key only a few photos of ordinary size are taken.
_PUBLIC_PHOTOS = 4
_PUBLIC_PHOTO_BYTES = 10 << 20
_PHOTO_FAILURES = ("no_face", "several_faces", "photos_disagree", "low_quality")
_FAILURES = (
    *("bad_request", *MEDIA, *_PHOTO_FAILURES),
    *("enrolment_busy", "enrolment_unavailable", "blocklist_full"),
)


def _form(**fields: dict[str, Any]) -> dict[str, Any]:
    photos = {
        "type": "array",
        "minItems": 1,
        "maxItems": 8,
        "items": {"type": "string", "format": "binary"},
    }
    schema = {"type": "object", "required": ["image"], "properties": {"image": photos, **fields}}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    }


# Said in the audit trail, so of few words that an operator can count.
_REASON = {"type": "string", "enum": ["self", "public_figure", "legal"]}
_TEXT = {"type": "string", "maxLength": 200}
_ENTRY_FORM = _form(label=_TEXT, reason=_REASON, keep_days={"type": "integer"})
_REQUEST_FORM = _form(label=_TEXT, reason=_REASON, contact=_TEXT) | {"security": []}


@router.post(
    "",
    status_code=201,
    responses={201: success("The entry, in effect at once."), **problems(*_FAILURES)},
    openapi_extra=_ENTRY_FORM,
)
async def add_entry(request: Request, caller: Operator, state: State) -> schemas.BlocklistEntry:
    """Put somebody on the list, from one to eight photos, which are deleted at once.

    Their face can then neither be registered nor replaced, by any tenant.
    """
    rules = FormRules(("image",), state.settings.max_photos, state.settings.max_photo_bytes)
    async with state.uploads.incoming(caller.tenant) as incoming:
        # Photos come as a form only: no uploads are named here, which other requests could use.
        _require_form(request)
        fields = await read_form(request, state.bodies, (rules, incoming))
        form = parse_fields(fields, schemas.BlocklistForm, ())
        # Within the block: the photos are deleted when it ends, whatever happened.
        return _entry(state, await state.blocklisting.add(caller, form, incoming))


@router.get("", responses=problems())
async def list_entries(_caller: Operator, state: State) -> schemas.BlocklistPage:
    """List the entries and the requests that wait for a decision."""
    found = [_entry(state, entry) for entry in await state.blocklisting.entries()]
    active = sum(entry.state == "active" for entry in found)
    return schemas.BlocklistPage(
        data=tuple(found), warning=CROWDED if active > CROWDED_AT else None
    )


@router.post("/{entry_id}/approve", responses=problems("not_found"))
async def approve_request(entry_id: str, caller: Operator, state: State) -> schemas.BlocklistEntry:
    """Let a person's request take effect."""
    return _entry(state, await state.blocklisting.approve(caller, entry_id))


@router.delete(
    "/{entry_id}",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "The entry is erased."}, **problems("not_found")},
)
async def remove_entry(entry_id: str, caller: Operator, state: State) -> Response:
    """Erase an entry or a request; within a minute it has left the store's disk too."""
    await state.blocklisting.remove(caller, entry_id)
    return Response(status_code=204)


@router.get("/reviews", responses=problems())
async def list_reviews(_caller: Operator, state: State) -> schemas.ReviewList:
    """List files in which somebody resembles an entry without surely being them."""
    return schemas.ReviewList(data=tuple(map(_review, await state.blocklisting.reviews())))


@router.post("/reviews/{review_id}/release", responses=problems("not_found"))
async def release_review(review_id: str, caller: Operator, state: State) -> schemas.Review:
    """Let the same files pass this entry for a month: it is somebody else."""
    return _review(await state.blocklisting.release(caller, review_id))


@router.post(
    "/requests",
    status_code=202,
    responses={
        202: success("The request; an operator decides about it within a month, or it ends."),
        **problems("not_found", "too_many_requests", *_FAILURES, anonymous=True),
    },
    openapi_extra=_REQUEST_FORM,
)
async def ask_to_be_listed(request: Request, state: State) -> schemas.BlocklistTicket:
    """Ask that your face is never swapped here. It needs no key; the photos are not kept."""
    if state.settings.blocklist_requests == "off":
        raise ServiceError("not_found", "Requests are not taken here; write to the operator")

    address = request.client.host if request.client else ""
    rules = FormRules(("image",), _PUBLIC_PHOTOS, _PUBLIC_PHOTO_BYTES)

    with state.blocklist_visitors.visit(address):
        async with state.uploads.incoming(PUBLIC) as incoming:
            _require_form(request)
            fields = await read_form(request, state.bodies, (rules, incoming))
            form = parse_fields(fields, schemas.BlocklistRequestForm, ())
            entry, token = await state.blocklisting.ask(form, incoming)
            return _ticket(entry, token)


@router.get(
    "/requests/{entry_id}",
    responses=problems("not_found", "too_many_requests", "invalid_parameter", anonymous=True),
    openapi_extra={"security": []},
)
async def read_request(
    entry_id: str, token: Token, request: Request, state: State
) -> schemas.BlocklistTicket:
    """Return your own request."""
    with state.blocklist_visitors.visit(request.client.host if request.client else ""):
        return _ticket(await state.blocklisting.owned(entry_id, token))


@router.delete(
    "/requests/{entry_id}",
    status_code=204,
    response_class=Response,
    responses={
        204: {"description": "What you asked for is erased."},
        **problems("not_found", "too_many_requests", "invalid_parameter", anonymous=True),
    },
    openapi_extra={"security": []},
)
async def withdraw_request(entry_id: str, token: Token, request: Request, state: State) -> Response:
    """Withdraw your own request, also after it was approved."""
    with state.blocklist_visitors.visit(request.client.host if request.client else ""):
        await state.blocklisting.withdraw(entry_id, token)
        return Response(status_code=204)


def _require_form(request: Request) -> None:
    if media_type(request) != "multipart/form-data":
        raise ServiceError("unsupported_media_type", "Send multipart/form-data with photos")


def _entry(state: AppState, entry: records.BlocklistEntry) -> schemas.BlocklistEntry:
    return schemas.BlocklistEntry(
        id=entry.id,
        state=entry.state,
        reason=entry.reason,
        label=entry.label,
        contact=entry.contact,
        pack=entry.pack,
        is_compared=entry.pack == str(state.enrolment.about.get("name", state.settings.pack)),
        added_by=entry.added_by,
        created_at=at(entry.created_at),
        expires_at=at(entry.expires_at),
    )


def _ticket(entry: records.BlocklistEntry, token: str | None = None) -> schemas.BlocklistTicket:
    return schemas.BlocklistTicket(
        id=entry.id, state=entry.state, expires_at=at(entry.expires_at), token=token
    )


def _review(review: reviews.Review) -> schemas.Review:
    return schemas.Review(
        id=review.id,
        tenant=review.tenant,
        entry_id=review.entry_id,
        created_at=at(review.created_at),
        released_at=at(review.released_at) if review.released_at else None,
        released_by=review.released_by,
    )
