"""The OpenAPI document: complete, with examples that hold, and a service that keeps to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from service import schemas
from service.protocol.catalogue import CODES
from tests.service.live_service import LiveService
from tests.service.protocol.document.schema_run import run_schemathesis

BODIES = [
    schemas.RegisterRequest,
    schemas.SwapRequest,
    schemas.AnalysisRequest,
    schemas.WebhookEndpointRequest,
    schemas.KeyRequest,
    schemas.Identity,
    schemas.ErasureReceipt,
    schemas.Upload,
    schemas.Job,
    schemas.WebhookEndpoint,
    schemas.Key,
    schemas.Capacity,
    schemas.Consent,
]


@pytest.mark.parametrize("model", BODIES)
def test_each_body_has_an_example_that_is_valid(model: type[BaseModel]) -> None:
    examples = model.model_json_schema()["examples"]
    assert examples

    for example in examples:
        assert (
            model.model_validate(example).model_dump(mode="json", exclude_unset=True).keys()
            == example.keys()
        )


@pytest.fixture(scope="module")
def document(live: LiveService) -> dict[str, Any]:
    answer = httpx.get(f"{live.url}/openapi.json")
    assert answer.status_code == 200
    return answer.json()


def test_every_operation_documents_its_failures_with_examples(document: dict[str, Any]) -> None:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            statuses = set(operation["responses"])
            assert "500" in statuses, (method, path)

            if path.startswith("/v1/") and operation.get("security") != []:
                assert {"401", "403", "503"} <= statuses, (method, path)
                assert operation["security"]

            for status, response in operation["responses"].items():
                problem = response.get("content", {}).get("application/problem+json")
                for example in (problem or {}).get("examples", {}).values():
                    assert (
                        CODES[example["value"]["code"]][0]
                        == int(status)
                        == example["value"]["status"]
                    )


def objects(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Yield every object of a document."""
    if isinstance(part, dict):
        yield part
        part = list(part.values())

    if isinstance(part, list):
        for item in part:
            yield from objects(item)


def test_every_property_parameter_and_operation_is_described(document: dict[str, Any]) -> None:
    schemas = [part for part in objects(document) if part.get("type") == "object"]
    bare = [
        (schema.get("title"), name)
        for schema in schemas
        for name, member in schema.get("properties", {}).items()
        if not member.get("description")
    ]
    assert len(schemas) > 50
    assert bare == []

    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", ())
            unsaid = [each["name"] for each in parameters if not each["description"]]
            assert unsaid == [], (method, path)
            assert operation["description"], (method, path)
            assert operation["tags"][0] in {tag["name"] for tag in document["tags"]}


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    references = {part["$ref"] for part in objects(document) if "$ref" in part}
    assert len(references) > 40
    assert references - names == set()


def test_operation_ids_are_short_and_unique(document: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for operations in document["paths"].values()
        for operation in operations.values()
    ]
    assert len(ids) == len(set(ids))
    assert {"createIdentity", "swapImage", "getJob", "headJobResult"} <= set(ids)
    assert all(len(name) <= 24 and name.isalpha() for name in ids)


def test_requests_have_no_defaults_and_answers_all_their_members(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    told = {"JobReport", "PersonReport", "ProvenanceReport", "AnalysisResult"}
    for name in ("Job", "Identity", "Upload", "Key", "Capacity", "WebhookEndpoint", "Consent"):
        assert set(schemas[name]["required"]) == schemas[name]["properties"].keys(), name

    for name, schema in schemas.items():
        if name not in told:
            defaults = [
                key for key, member in schema.get("properties", {}).items() if "default" in member
            ]
            assert defaults == [], name


def test_every_route_of_the_api_is_there(document: dict[str, Any]) -> None:
    asked = {
        "/v1/uploads": {"post"},
        "/v1/identities": {"post", "get"},
        "/v1/identities/{identity_id}": {"get", "delete"},
        "/v1/swaps/image": {"post"},
        "/v1/swaps/video": {"post"},
        "/v1/analyses": {"post"},
        "/v1/jobs/{job_id}": {"get", "delete"},
        "/v1/jobs/{job_id}/events": {"get"},
        "/v1/jobs/{job_id}/cancel": {"post"},
        "/v1/jobs": {"get"},
        "/v1/jobs/{job_id}/result": {"get", "head"},
        "/v1/webhook-endpoints": {"post", "get"},
        "/v1/webhook-endpoints/{endpoint_id}": {"get", "delete"},
        "/v1/webhook-endpoints/{endpoint_id}/rotate": {"post"},
    }

    for path, methods in asked.items():
        assert methods <= document["paths"][path].keys(), path

    for path in ("/livez", "/readyz", "/startupz", "/metrics", "/v1/models", "/v1/capacity"):
        assert path in document["paths"]


def test_generated_requests_find_no_server_error_and_no_answer_off_the_schema(
    enrolling: LiveService,
) -> None:
    run = run_schemathesis(enrolling, max_examples=3)
    assert run.requests > 200
    assert run.failures == 0, run.report
