"""Pages about the API: its description, its errors, and a summary for language models.

Everything comes from this origin; Swagger UI's files from the package that brings them.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from service.protocol.catalogue import CODES, ERRORS_PATH, WHAT_TO_DO
from service.protocol.problems import ServiceError
from service.routes.app_state import State

router = APIRouter(include_in_schema=False)

_PAGES = Path(__file__).parents[1] / "pages"
# Swagger UI sets styles on elements and draws its icons from data: addresses; scripts are files.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
# A list of names, so that no name of a request becomes a path.
_SWAGGER_FILES = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
# The files change with the installed version only.
_FOR_A_DAY = {"Cache-Control": "public, max-age=86400"}


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Return the API's description, to read and to try."""
    # Served from here: the page works without a connection to anywhere else.
    page = (_PAGES / "docs.html").read_text()
    return HTMLResponse(page, headers={"Content-Security-Policy": _DOCS_POLICY})


@router.get("/docs/start.js")
async def docs_script() -> Response:
    """Return what starts Swagger UI."""
    return Response((_PAGES / "docs.js").read_text(), media_type="text/javascript")


@router.get("/docs/{name}")
async def docs_file(name: str) -> Response:
    """Return a file of Swagger UI."""
    if name not in _SWAGGER_FILES:
        raise ServiceError("not_found")
    return Response(_swagger(name), media_type=_SWAGGER_FILES[name], headers=_FOR_A_DAY)


@router.get("/llms.txt")
async def llms(state: State) -> PlainTextResponse:
    """Return what a language model should know to use this service."""
    text = (_PAGES / "llms.txt").read_text()
    return PlainTextResponse(text.replace("{url}", state.settings.public_url))


@router.get(ERRORS_PATH)
async def errors() -> HTMLResponse:
    """Return the list of failures."""
    rows = "".join(
        f'<li><a href="{ERRORS_PATH}/{code}"><code>{code}</code></a> {escape(_title(code))}</li>'
        for code in sorted(WHAT_TO_DO)
    )
    return _page("Errors", f"<ul>{rows}</ul>")


@router.get(ERRORS_PATH + "/{code}")
async def error(code: str) -> HTMLResponse:
    """Return the page about a failure, which its problem's `type` names."""
    if code not in WHAT_TO_DO:
        raise ServiceError("not_found", "There is no such error code")

    where = f"Status {CODES[code][0]}." if code in CODES else "Of a job, in its <code>error</code>."
    text = escape(WHAT_TO_DO[code])
    body = f"<p>{escape(_title(code))}. {where}</p><h2>What to do</h2><p>{text}</p>"
    return _page(code, f'{body}<p><a href="{ERRORS_PATH}">All errors</a></p>')


def _title(code: str) -> str:
    return CODES[code][1] if code in CODES else "A job can end with this"


def _page(title: str, body: str) -> HTMLResponse:
    page = (_PAGES / "errors.html").read_text().replace("{title}", title).replace("{body}", body)
    return HTMLResponse(page, headers={"Content-Security-Policy": _PAGE_POLICY, **_FOR_A_DAY})


@cache
def _swagger(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()
