"""Serves the page of this example, and gives it a token for the service.

    python server.py --port 9100

The key stays here. The page gets a token that lives for a quarter of an hour, works from this
page's origin only, and can do no more than the page needs. A server of yours would give one to
people who are signed in.
"""

from __future__ import annotations

import argparse
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

HERE = Path(__file__).parent
FILES = {"/": ("index.html", "text/html"), "/page.js": ("page.js", "text/javascript")}
SCOPES = ["identities:write", "jobs:write", "jobs:read"]


class Handler(BaseHTTPRequestHandler):
    """Answers GET for the page's files and POST for a token."""

    def do_GET(self) -> None:
        if self.path not in FILES:
            self.send_error(404)
            return

        name, media_type = FILES[self.path]
        self._answer((HERE / name).read_bytes(), media_type)

    def do_POST(self) -> None:
        if self.path != "/token":
            self.send_error(404)
            return

        service = os.environ["LIKENESS_URL"]
        origin = f"http://{self.headers['host']}"
        made = httpx.post(
            f"{service}/v1/tokens",
            json={"origin": origin, "scopes": SCOPES, "ttl_s": 900},
            headers={"Authorization": f"Bearer {os.environ['LIKENESS_API_KEY']}"},
        ).raise_for_status()
        self._answer(httpx.Response(200, json={**made.json(), "service": service}).content)

    def _answer(self, body: bytes, media_type: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=9100)
    with ThreadingHTTPServer(("127.0.0.1", parser.parse_args().port), Handler) as server:
        print(f"open http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
