"""Receives webhooks on this machine and keeps each message, headers and all, as a file."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@contextmanager
def receiving(folder: Path) -> Iterator[str]:
    """Yield the URL of a receiver that writes `*.json` with `body` and `headers` to `folder`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            unfinished = folder / f"{uuid.uuid4()}.part"
            unfinished.write_text(json.dumps({"body": body, "headers": headers}))
            unfinished.rename(unfinished.with_suffix(".json"))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it
            """Say nothing: the bar's own lines are what is read."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()

    try:
        yield f"http://127.0.0.1:{server.server_port}/hook"
    finally:
        server.shutdown()
        server.server_close()
