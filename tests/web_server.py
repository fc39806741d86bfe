"""Somebody else's web server, on loopback: it receives webhooks, or photos lie on it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class QuietHandler(BaseHTTPRequestHandler):
    """Answers GET and POST as its subclasses say in `get` and `post`, and logs neither."""

    def get(self) -> None:
        """Answer a GET; a subclass that serves something does so here."""
        self.answer(405)

    def post(self) -> None:
        """Answer a POST; a subclass that receives something does so here."""
        self.answer(405)

    def do_GET(self) -> None:
        self.get()

    def do_POST(self) -> None:
        self.post()

    def body(self) -> bytes:
        """Return what the request carries."""
        return self.rfile.read(int(self.headers["content-length"]))

    def answer(self, status: int, content: bytes = b"") -> None:
        """Send a status and, after it, `content`."""
        self.send_response(status)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing: the output belongs to tests and bars."""


class _Server(ThreadingHTTPServer):
    # Of the five that Python takes, connections that come at once lose theirs, and TCP tries again
    # after seconds.
    request_queue_size = 128


@contextmanager
def web_server(handler: type[QuietHandler]) -> Iterator[str]:
    """Serve on a free port while the block runs; yield the address, without a slash at its end."""
    server = _Server(("127.0.0.1", 0), handler)
    # Clients that hang up are meant in most tests; a traceback would hide the failures.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, daemon=True).start()

    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
