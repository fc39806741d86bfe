"""Query parameters: one that a route does not know is a mistake, and is told as one."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.protocol.problems import ServiceError


async def known_parameters(request: Request) -> None:
    """Raise invalid_parameter for a query parameter that the route does not have.

    A filter that is misspelt would otherwise be ignored, and the answer taken for the filtered one.
    """
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return

    known = set(_aliases(route.dependant))
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        said = f"; known are {', '.join(sorted(known))}" if known else ""
        raise ServiceError(
            "invalid_parameter", f"There is no query parameter {unknown[0][:40]} here{said}"
        )


def _aliases(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _aliases(inner)
