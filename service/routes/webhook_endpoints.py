"""Webhook endpoints: where a tenant's finished jobs are announced."""

from __future__ import annotations

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from service import schemas
from service.caller import Caller
from service.intake.fetching import checked_url
from service.protocol.bodies import json_limits, read_json
from service.protocol.idempotency import fingerprint, key_of
from service.protocol.openapi import IDEMPOTENCY_KEY, json_body, problems, success
from service.protocol.problems import ServiceError
from service.routes.auth import caller_with
from service.routes.parts import Parts, parts_of
from service.schemas.fields import at
from worker.stores.outbox import Endpoint

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"])

Writer = Annotated[Caller, Depends(caller_with("jobs:write"))]
InParts = Annotated[Parts, Depends(parts_of)]

MAX_ENDPOINTS = 16  # every end of a job is told to each of them


@router.post(
    "",
    status_code=201,
    response_model=schemas.WebhookEndpoint,
    responses={
        201: success("The endpoint, with its secret: it is not shown again.", "Location"),
        **problems(
            "invalid_json",
            "unsupported_media_type",
            "body_too_large",
            "invalid_request",
            "fetch_refused",
            "idempotency_mismatch",
            "idempotency_in_progress",
            "quota_exceeded",
        ),
    },
    openapi_extra={**json_body(schemas.WebhookEndpointRequest), "parameters": [IDEMPOTENCY_KEY]},
)
async def create_endpoint(request: Request, caller: Writer, parts: InParts) -> Response:
    """Register a receiver."""
    body = await read_json(request, schemas.WebhookEndpointRequest, json_limits(parts.settings))
    checked_url(body.url)

    async def create() -> JSONResponse:
        if len(await to_thread.run_sync(parts.outbox.endpoints, caller.tenant)) >= MAX_ENDPOINTS:
            raise ServiceError(
                "quota_exceeded", f"A tenant may have {MAX_ENDPOINTS} webhook endpoints"
            )
        endpoint = await to_thread.run_sync(parts.outbox.add_endpoint, caller.tenant, body.url)
        headers = {"Location": f"/v1/webhook-endpoints/{endpoint.id}"}
        return JSONResponse(_view(endpoint, endpoint.secrets[0]), 201, headers=headers)

    mark = fingerprint(request, body.model_dump_json())
    return await parts.idempotency.once(caller.tenant, key_of(request), mark, create)


@router.get("", response_model=schemas.WebhookEndpointList, responses=problems())
async def list_endpoints(caller: Writer, parts: InParts) -> JSONResponse:
    """List the tenant's receivers."""
    endpoints = await to_thread.run_sync(parts.outbox.endpoints, caller.tenant)
    return JSONResponse({"data": [_view(endpoint) for endpoint in endpoints]})


@router.get(
    "/{endpoint_id}", response_model=schemas.WebhookEndpoint, responses=problems("not_found")
)
async def get_endpoint(endpoint_id: str, caller: Writer, parts: InParts) -> JSONResponse:
    """Return a receiver."""
    return JSONResponse(
        _view(await to_thread.run_sync(parts.outbox.endpoint, endpoint_id, caller.tenant))
    )


@router.get("/default/secret", response_model=schemas.WebhookSecret, responses=problems())
async def get_default_secret(caller: Writer, parts: InParts) -> JSONResponse:
    """Return the secret that signs what is sent to addresses given with a job (`webhook`)."""
    secret = await to_thread.run_sync(parts.outbox.tenant_secret, caller.tenant)
    return JSONResponse(schemas.WebhookSecret(secret=secret).model_dump(mode="json"))


@router.post(
    "/{endpoint_id}/rotate", response_model=schemas.WebhookEndpoint, responses=problems("not_found")
)
async def rotate_secret(endpoint_id: str, caller: Writer, parts: InParts) -> JSONResponse:
    """Make a new secret; for a day, deliveries carry a signature by the old one as well."""
    endpoint = await to_thread.run_sync(parts.outbox.rotate, endpoint_id, caller.tenant)
    return JSONResponse(_view(endpoint, endpoint.secrets[0]))


@router.delete(
    "/{endpoint_id}",
    status_code=204,
    response_class=Response,
    responses={204: {"description": "Nothing more is sent there."}, **problems("not_found")},
)
async def delete_endpoint(endpoint_id: str, caller: Writer, parts: InParts) -> Response:
    """Remove a receiver; what waits for it is dropped."""
    await to_thread.run_sync(parts.outbox.delete_endpoint, endpoint_id, caller.tenant)
    return Response(status_code=204)


def _view(endpoint: Endpoint, secret: str | None = None) -> dict[str, object]:
    return schemas.WebhookEndpoint(
        id=endpoint.id,
        url=endpoint.url,
        enabled=endpoint.disabled_reason is None,
        disabled_reason=endpoint.disabled_reason,
        created_at=at(endpoint.created_at),
        secret=secret,
    ).model_dump(mode="json")
