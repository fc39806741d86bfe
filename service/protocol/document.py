"""Makes FastAPI's OpenAPI document one that linters accept and generators understand.

Responses have all their members, whatever the state; requests have only what a client sends: no
null or object as a default, and where exactly one of several members is wanted, one schema each.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from service.protocol.document_examples import complete_examples
from service.protocol.document_text import (
    ABOUT,
    CONTACT,
    FORM_FIELDS,
    LICENCE,
    OPERATION_IDS,
    PARAMETERS,
    SUMMARY,
    TAGS,
    webhook,
)
from service.protocol.openapi import REF

Schema = dict[str, Any]
# Extensions of ours, which `_tidy` takes out again.
ONE_OF = "x-one-of"  # set by `service.schemas.fields.example`
MODEL = "x-model"  # a member whose values have a schema of their own


def operation_id(route: APIRoute) -> str:
    """Return the short name that generated clients give an operation, such as `getJob`."""
    name = OPERATION_IDS.get(route.name) or _camel(route.name)
    return f"head{name.removeprefix('get')}" if route.methods == {"HEAD"} else name


def describe(
    app: FastAPI,
    requests: tuple[type[BaseModel], ...],
    answers: tuple[type[BaseModel], ...],
    events: Mapping[str, type[BaseModel]],
    public_url: str,
) -> None:
    """Make `app.openapi()` return the whole document.

    `requests` are bodies that routes read themselves, `answers` are what no route's signature
    names, `events` are what webhooks carry, by name.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = _made(app, public_url)
            schemas = made.setdefault("components", {}).setdefault("schemas", {})
            for model in (*answers, *events.values()):
                _add(schemas, model, "serialization")

            _name_models(schemas)
            complete_examples(schemas)
            # Last: what a client sends of a model gets its own name where the two differ.
            for model in requests:
                _add(schemas, model, "validation")

            made["webhooks"] = {
                name: {"post": webhook(f"{REF}{event.__name__}", name)}
                for name, event in events.items()
            }
            _tidy(made)
            app.openapi_schema = made

        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _made(app: FastAPI, public_url: str) -> dict[str, Any]:
    made = get_openapi(
        title=app.title,
        version=app.version,
        summary=SUMMARY,
        description=ABOUT,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        servers=[{"url": public_url or "http://127.0.0.1:8000", "description": "This service."}],
        license_info=LICENCE,
        contact=CONTACT,
    )
    _drop_foreign_errors(made)
    return made


def _add(schemas: dict[str, Schema], model: type[BaseModel], mode: Any) -> None:  # noqa: ANN401 - pydantic's
    """Add a model and what it is made of.

    A part that is already there as another schema gets a name of its own: what a client sends of
    it is not what it is answered.
    """
    made = model.model_json_schema(ref_template=REF + "{model}", mode=mode)
    parts = made.pop("$defs", {})
    if mode == "validation":
        made, parts = _without_defaults(made), {n: _without_defaults(p) for n, p in parts.items()}

    if mode == "serialization":  # the routes' own answers are there already
        schemas.update({name: part for name, part in parts.items() if name not in schemas})
        schemas.setdefault(model.__name__, made)
        return

    renamed = {
        name: f"{name}Request" for name, part in parts.items() if schemas.get(name, part) != part
    }
    for old, new in renamed.items():
        made, parts = _pointed(made, old, new), {n: _pointed(p, old, new) for n, p in parts.items()}

    for name, part in parts.items():
        title = renamed.get(name, name)
        schemas[title] = {**part, "title": title}

    schemas[model.__name__] = made


def _without_defaults(schema: Schema) -> Schema:
    """Say defaults in words: generators make members with a default required, or misread null."""
    changed = copy.deepcopy(schema)
    for member in changed.get("properties", {}).values():
        default = member.pop("default", None)
        if isinstance(default, str | int | float):
            said = str(default).lower() if isinstance(default, bool) else default
            text = member.get("description", "").rstrip()
            member["description"] = f"{text} Without it: `{said}`.".strip()

    return changed


def _pointed(part: Any, old: str, new: str) -> Any:  # noqa: ANN401 - any JSON
    """Return `part` with references to `old` made references to `new`."""
    if isinstance(part, dict):
        if part.get("$ref") == REF + old:
            return {**part, "$ref": REF + new}
        return {name: _pointed(value, old, new) for name, value in part.items()}

    return [_pointed(item, old, new) for item in part] if isinstance(part, list) else part


def _tidy(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name, schema in list(schemas.items()):
        if wanted := schema.pop(ONE_OF, ()):
            schemas.update(_variants(name, schema, wanted))

    schemas.pop("JsonValue", None)  # anything at all: said in place
    for part in _parts(document):
        if part.get("$ref") == REF + "JsonValue":
            del part["$ref"]
        # What becomes a set may name a member twice.
        part.pop("uniqueItems", None)
        for member in part.get("properties", {}).values():
            member.pop("title", None)  # generators would make names of it

    _name_parameters(document)
    _name_form_fields(document)


def _name_models(schemas: dict[str, Schema]) -> None:
    """Let members that are any object to us have the schema of what they hold."""
    for part in _parts(schemas):
        if MODEL in part:
            part["$ref"] = REF + part.pop(MODEL)
            for key in ("type", "additionalProperties"):
                part.pop(key, None)


def _variants(name: str, schema: Schema, wanted: tuple[str, ...]) -> dict[str, Schema]:
    """Return one schema for each member of which exactly one is wanted, and their union."""
    made: dict[str, Schema] = {}
    for member in wanted:
        variant = copy.deepcopy(schema)
        others = set(wanted) - {member}
        variant["properties"] = {
            key: value for key, value in variant["properties"].items() if key not in others
        }
        variant["required"] = [*variant.get("required", ()), member]
        variant["title"] = f"{name}By{_camel(member, first=str.upper)}"
        variant["examples"] = [each for each in variant.get("examples", ()) if member in each]
        if not variant["examples"]:
            del variant["examples"]

        made[variant["title"]] = variant

    union: Schema = {key: schema[key] for key in ("title", "description") if key in schema}
    return {**made, name: {**union, "oneOf": [{"$ref": REF + title} for title in made]}}


def _name_parameters(document: dict[str, Any]) -> None:
    """Describe parameters by name, where their route does not."""
    for operations in document["paths"].values():
        for operation in operations.values():
            operation.setdefault("security", [])
            for parameter in operation.get("parameters", ()):
                parameter.setdefault("description", PARAMETERS.get(parameter["name"], ""))


def _name_form_fields(document: dict[str, Any]) -> None:
    """Describe the fields of forms by name, where their route does not."""
    for part in _parts(document):
        schema = part.get("multipart/form-data", {}).get("schema", {})
        properties = schema.get("properties", {})
        schema["properties"] = {
            name: {"description": FORM_FIELDS.get(name, ""), **field}
            for name, field in properties.items()
        }


def _drop_foreign_errors(document: dict[str, Any]) -> None:
    """Remove FastAPI's own 422, which no route answers with: failures are problems."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)

    for path in document["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]


def _parts(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    """Yield every object of a document."""
    if isinstance(part, Mapping):
        yield part  # type: ignore[misc]
        part = list(part.values())

    if isinstance(part, list):
        for item in part:
            yield from _parts(item)


def _camel(name: str, first: Callable[[str], str] = str.lower) -> str:
    words = name.split("_")
    head = first(words[0][:1]) + words[0][1:]
    return head + "".join(word.capitalize() for word in words[1:])
