"""Query parameters: how an answer names its next page, and those that no route knows."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.protocol.problems import ServiceError


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the Link header to the next page, if there is one."""
    if cursor is None:
        return {}
    # The filters stay as they are; path and query only, because a proxy may have another host name.
    target = request.url.include_query_params(cursor=cursor)
    return {"Link": f'<{target.path}?{target.query}>; rel="next"'}


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
