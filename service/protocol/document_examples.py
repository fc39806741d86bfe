"""Examples of answers have every member that answers have; what they leave out is null or empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def complete_examples(schemas: Mapping[str, Schema]) -> None:
    """Fill what is missing in the examples of `schemas`, and drop the defaults of their members."""
    for schema in schemas.values():
        for example in schema.get("examples", ()):
            if isinstance(example, dict):
                _fill(example, schema, schemas)

    for schema in schemas.values():
        for member in schema.get("properties", {}).values():
            member.pop("default", None)


def _fill(value: Any, schema: Schema, schemas: Mapping[str, Schema]) -> None:  # noqa: ANN401 - any JSON
    """Give `value`, and what is in it, the required members that it lacks."""
    schema = _resolved(schema, value, schemas)
    if isinstance(value, list):
        for item in value:
            _fill(item, schema.get("items", {}), schemas)

    if not isinstance(value, dict):
        return

    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            value[name] = properties.get(name, {}).get("default")
    for name, member in value.items():
        _fill(member, properties.get(name, {}), schemas)


def _resolved(schema: Schema, value: Any, schemas: Mapping[str, Schema]) -> Schema:  # noqa: ANN401
    """Return the schema that a reference, or a choice of several, means for `value`."""
    if isinstance(value, dict):
        schema = next((one for one in schema.get("anyOf", ()) if "$ref" in one), schema)
    elif isinstance(value, list):
        schema = next((one for one in schema.get("anyOf", ()) if "items" in one), schema)

    name = schema.get("$ref", "").rpartition("/")[2]
    return schemas.get(name, schema)
