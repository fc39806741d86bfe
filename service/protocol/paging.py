"""Cursors: how an answer names its next page."""

from __future__ import annotations

from fastapi import Request


def next_link(request: Request, cursor: str | None) -> dict[str, str]:
    """Return the Link header to the next page, if there is one."""
    if cursor is None:
        return {}
    # The filters stay as they are; path and query only, because a proxy may have another host name.
    target = request.url.include_query_params(cursor=cursor)
    return {"Link": f'<{target.path}?{target.query}>; rel="next"'}
