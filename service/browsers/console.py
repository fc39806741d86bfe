"""The console: a page for people who evaluate or operate the service.

It is built from `console/` (`make console`), calls nothing but this API, and loads nothing from
anywhere else.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response

from service.protocol.problems import ServiceError

router = APIRouter(include_in_schema=False)

BUILT = Path(__file__).parents[1] / "pages" / "console"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    # Thumbnails are data URLs; what a person chose, and previews, are blobs of the page.
    " img-src 'self' blob: data:; media-src 'self' blob:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
# The console holds a key in memory: nothing foreign may run beside it.
_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@router.get("/")
async def console(request: Request) -> Response:
    """Return the console's page."""
    return _file(request, "index.html")


@router.get("/console/{name}")
async def console_file(name: str, request: Request) -> Response:
    """Return a script or style of the console."""
    return _file(request, name)


def _file(request: Request, name: str) -> Response:
    content = _built().get(name)
    if content is None:
        raise ServiceError("not_found")

    # By content: an update of the service is seen at once, an unchanged file is not sent again.
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**_HEADERS, "ETag": etag}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)

    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


@cache
def _built() -> dict[str, bytes]:
    """Return the built files by name; a name that is asked for never becomes a path."""
    return {path.name: path.read_bytes() for path in BUILT.iterdir() if path.suffix in _TYPES}
