"""Webhook endpoints: the receivers of a tenant's job events."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request, Response

from service import schemas
from service.caller import Caller
from service.jobs.delivery_log import MOST_KEPT, DeliveryAttempt
from service.protocol.idempotency import Created, fingerprint, key_of
from service.protocol.openapi import (
    IDEMPOTENCY_KEY,
    IDEMPOTENT,
    JSON_BODY,
    json_body,
    problems,
    success,
)
from service.protocol.problems import ServiceError
from service.routes.app_state import AppState, State
from service.routes.auth import caller_with
from service.schemas.fields import at
from worker.stores.endpoints import Endpoint

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"])

Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]

MAX_ENDPOINTS = 16  # the end of every job is sent to each of them


@router.post(
    "",
    status_code=201,
    response_model=schemas.WebhookEndpoint,
    responses={
        201: success("The endpoint, with its secret: it is not shown again.", "Location"),
        **problems(*JSON_BODY, *IDEMPOTENT, "fetch_refused", "quota_exceeded"),
    },
    openapi_extra={**json_body(schemas.WebhookEndpointRequest), "parameters": [IDEMPOTENCY_KEY]},
)
async def create_endpoint(request: Request, caller: Writer, state: State) -> Response:
    """Register a receiver."""
    body = await state.bodies.json(request, schemas.WebhookEndpointRequest)
    # Here for a clear answer; the address is checked again at each delivery, because names may
    # point elsewhere by then.
    await state.poster.require_allowed(body.url)

    async def create() -> Created:
        # Within `create`, so that a repeated request is answered and not counted.
        endpoints = await to_thread.run_sync(state.outbox.endpoints.list, caller.tenant)
        if len(endpoints) >= MAX_ENDPOINTS:
            raise ServiceError(
                "quota_exceeded", f"A tenant may have {MAX_ENDPOINTS} webhook endpoints"
            )

        return _created(
            await to_thread.run_sync(state.outbox.endpoints.add, caller.tenant, body.url)
        )

    async def read(endpoint_id: str) -> Created:
        find = state.outbox.endpoints.get
        return _created(await to_thread.run_sync(find, endpoint_id, caller.tenant))

    mark = fingerprint(request, body.model_dump_json())
    return await state.idempotency.once(
        caller.tenant, key_of(request), mark, create=create, read=read
    )


@router.get("", responses=problems())
async def list_endpoints(caller: Writer, state: State) -> schemas.WebhookEndpointList:
    """List the tenant's receivers."""
    endpoints = await to_thread.run_sync(state.outbox.endpoints.list, caller.tenant)
    return schemas.WebhookEndpointList(data=tuple(_view(endpoint) for endpoint in endpoints))


@router.get("/{endpoint_id}", responses=problems("not_found"))
async def get_endpoint(endpoint_id: str, caller: Writer, state: State) -> schemas.WebhookEndpoint:
    """Return a receiver."""
    return _view(await to_thread.run_sync(state.outbox.endpoints.get, endpoint_id, caller.tenant))


@router.get("/default/secret", responses=problems())
async def get_default_secret(caller: Writer, state: State) -> schemas.WebhookSecret:
    """Return the secret that signs messages to the `webhook` URL of a job."""
    secret = await to_thread.run_sync(state.outbox.endpoints.tenant_secret, caller.tenant)
    return schemas.WebhookSecret(secret=secret)


@router.post("/{endpoint_id}/rotate", responses=problems("not_found"))
async def rotate_secret(endpoint_id: str, caller: Writer, state: State) -> schemas.WebhookEndpoint:
    """Create a new secret; for a day, messages are signed with the old one as well."""
    endpoint = await to_thread.run_sync(state.outbox.endpoints.rotate, endpoint_id, caller.tenant)
    # Shown this once, as at its creation.
    return _view(endpoint, endpoint.secrets[0])


@router.get("/{endpoint_id}/deliveries", responses=problems("not_found"))
async def list_deliveries(
    endpoint_id: str,
    caller: Writer,
    state: State,
    limit: Annotated[int, Query(ge=1, le=MOST_KEPT, description="At most so many.")] = 100,
) -> schemas.DeliveryList:
    """List the tries at delivering messages to a receiver in the last week, newest first.

    `default` stands for the URLs that came with jobs.
    """
    endpoint = await _named(state, endpoint_id, caller)
    attempts = await to_thread.run_sync(state.deliveries.of, caller.tenant, endpoint, limit)
    return schemas.DeliveryList(data=tuple(map(_delivery, attempts)))


@router.post(
    "/{endpoint_id}/deliveries/{message_id}/redeliver",
    status_code=202,
    response_class=Response,
    responses={202: {"description": "It is sent again at once."}, **problems("not_found")},
)
async def redeliver(endpoint_id: str, message_id: str, caller: Writer, state: State) -> Response:
    """Send a message of the list again, under the same id."""
    endpoint = await _named(state, endpoint_id, caller)
    attempts = await to_thread.run_sync(state.deliveries.of, caller.tenant, endpoint)
    job_id = next(
        (attempt.job_id for attempt in attempts if attempt.message_id == message_id), None
    )

    if job_id is None:
        raise ServiceError("not_found")

    again = state.outbox.send_again
    await to_thread.run_sync(again, caller.tenant, message_id, job_id, endpoint)
    return Response(status_code=202)


@router.post("/{endpoint_id}/test", responses=problems("not_found"))
async def test_endpoint(endpoint_id: str, caller: Writer, state: State) -> schemas.EndpointTest:
    """Send a signed message of type `endpoint.test` now, and say what the receiver answered."""
    endpoint = await to_thread.run_sync(state.outbox.endpoints.get, endpoint_id, caller.tenant)
    status, error = await state.sender.ping(endpoint)
    return schemas.EndpointTest(delivered=200 <= status < 300, status=status, error=error)


@router.delete(
    "/{endpoint_id}",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Nothing more is sent there."}, **problems("not_found")},
)
async def delete_endpoint(endpoint_id: str, caller: Writer, state: State) -> Response:
    """Delete a receiver; messages that wait for it are dropped."""
    await to_thread.run_sync(state.outbox.endpoints.delete, endpoint_id, caller.tenant)
    return Response(status_code=204)


async def _named(state: AppState, endpoint_id: str, caller: Caller) -> str | None:
    """Return the id of the caller's endpoint, None for `default`; raises UnknownEndpoint."""
    if endpoint_id == "default":
        return None
    await to_thread.run_sync(state.outbox.endpoints.get, endpoint_id, caller.tenant)
    return endpoint_id


def _delivery(attempt: DeliveryAttempt) -> schemas.Delivery:
    return schemas.Delivery(
        message_id=attempt.message_id,
        job_id=attempt.job_id,
        attempt=attempt.attempt,
        status=attempt.status,
        outcome=attempt.outcome,
        error=attempt.error,
        at=at(attempt.at),
    )


def _created(endpoint: Endpoint) -> Created:
    path = f"/v1/webhook-endpoints/{endpoint.id}"
    return Created(id=endpoint.id, path=path, body=_view(endpoint, endpoint.secrets[0]))


def _view(endpoint: Endpoint, secret: str | None = None) -> schemas.WebhookEndpoint:
    return schemas.WebhookEndpoint(
        id=endpoint.id,
        url=endpoint.url,
        enabled=endpoint.disabled_reason is None,
        disabled_reason=endpoint.disabled_reason,
        created_at=at(endpoint.created_at),
        secret=secret,
    )
