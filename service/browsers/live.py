"""The page that swaps a video or the camera in the browser, at `/live/`: the console's "Live".

It is built from `examples/on_device` by `make on-device`, with the runtime's WebAssembly and the
pack's small networks beside it, and asks nobody for anything but these files. An identity comes to
it as a file that was exported with the person's consent.
"""

from __future__ import annotations

from os import PathLike, stat_result
from pathlib import Path

from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

BUILT = Path(__file__).parents[1] / "pages" / "live"
NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Live · Likeness</title>
<h1>The live page is not part of this installation</h1>
<p>Build it with <code>make on-device</code>, which needs npm, and start the service again.
Or <a href="/">go back to the console</a>.</p>
</html>
"""
_HEADERS = {
    # WebAssembly is compiled from the files beside the page.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self';"
        " connect-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class LivePage(StaticFiles):
    """Serves the built page's files, or says how to build it; to be mounted at `/live`."""

    def __init__(self, folder: Path = BUILT) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)
        self._index = folder / "index.html"

    async def check_config(self) -> None:
        """Accept that there is no folder: that is answered by a page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if not self._index.is_file():
            return HTMLResponse(NOT_BUILT, status_code=404)
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response
