"""A receiver of webhooks: verifies each message, then fetches the result by its signed URL.

    python webhook_receiver.py --secret whsec_... --out results/

Register its address at the service (`POST /v1/webhook-endpoints`), which answers with the secret.
A message is delivered at least once: its `webhook-id` stays the same, so that a repeat is known.
"""

from __future__ import annotations

import argparse
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook, WebhookVerificationError

MAX_BYTES = 1 << 20  # a message has a few kilobytes


class Receiver(ThreadingHTTPServer):
    """Serves one endpoint on loopback; put a proxy with TLS in front of it."""

    def __init__(self, port: int, secret: str, out: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.webhook = Webhook(secret)
        self.out = out
        self.seen: set[str] = set()

    def take(self, event: dict[str, Any]) -> None:
        """Do what an event asks for: here, keep the result of a job that succeeded."""
        print(f"{event['type']} {event['data'].get('id', '')}", flush=True)
        if event["type"] != "job.succeeded":
            return

        job = event["data"]
        url = httpx.URL(os.environ["LIKENESS_URL"]).join(job["urls"]["result_signed"])
        answer = httpx.get(url, timeout=60.0).raise_for_status()
        suffix = job["result"]["media_type"].partition("/")[2]
        (self.out / f"{job['id']}.{suffix}").write_bytes(answer.content)


class Handler(BaseHTTPRequestHandler):
    """Answers 204 to what the service has signed, and 400 to everything else."""

    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length", 0)), MAX_BYTES))
        try:
            event = self.server.webhook.verify(
                body, {k.lower(): v for k, v in self.headers.items()}
            )
        except WebhookVerificationError:
            self.send_error(400)
            return

        if self.headers["webhook-id"] not in self.server.seen:
            self.server.take(event)
            self.server.seen.add(self.headers["webhook-id"])  # what failed is to come again

        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print events only."""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--secret", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--port", type=int, default=9000)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)

    with Receiver(asked.port, asked.secret, asked.out) as receiver:
        print(f"listening on http://127.0.0.1:{receiver.server_port}/", flush=True)
        receiver.serve_forever()


if __name__ == "__main__":
    main()
