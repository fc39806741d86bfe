"""A whole stack started the way a user starts it, and the few calls the system tests make over
HTTP.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import httpx
from PIL import Image

from tests.material import CONSENT, PACKS, ROOT

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0


def image_at(path: Path) -> tuple[str | None, tuple[int, int]]:
    """Return an image file's format, and its width and height."""
    with Image.open(path) as image:
        return image.format, image.size


class RunningService:
    """`python -m service up` on a free port and a data directory of its own."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.key: str | None = None
        self._environment = {
            **os.environ,
            "LIKENESS_DATA_DIR": str(data_dir),
            "LIKENESS_PACKS_DIR": str(PACKS),
            "LIKENESS_PORT": "0",
            **(environment or {}),
        }
        self.start()

    def start(self) -> None:
        """Start the stack and read its URL, and its key when this is the first start, from what it
        prints.
        """
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "up"],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        self.printed = self._read_until("Ctrl-C")
        self.url = re.search(r"http://\S+:\d+", self.printed).group()

        if shown := re.search(r"lk_\S+", self.printed):
            self.key = shown.group()

        self.client = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=60.0,
            trust_env=False,
        )

    def stop(self) -> float:
        """Ask the stack to stop and return how many seconds it took; it must exit 0 within 30."""
        self.client.close()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)

        try:
            code = self.process.wait(STOP_TIMEOUT_S)
        finally:
            self.process.kill()

        took_s = time.monotonic() - began
        with self.process.stdout as rest:
            assert code == 0, rest.read()

        return took_s

    def kill(self) -> None:
        """End the stack's first process at once, as the kernel might."""
        self.client.close()
        self.process.kill()
        self.process.wait(STOP_TIMEOUT_S)
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.stop()

    def _read_until(self, word: str) -> str:
        text = ""
        deadline = time.monotonic() + START_TIMEOUT_S

        for line in self.process.stdout:
            text += line
            if word in line:
                return text

            assert time.monotonic() < deadline, text

        raise AssertionError(f"the stack ended before it was up:\n{text}")

    def register(
        self, *photos: Path, consent: Mapping[str, Any] | None = CONSENT
    ) -> httpx.Response:
        """POST the photos as one identity."""
        files = [("image", (photo.name, photo.read_bytes(), "image/jpeg")) for photo in photos]
        return self.client.post(
            "/v1/identities", files=files, data={"consent": json.dumps(consent)}
        )

    def upload(self, content: bytes, media_type: str) -> httpx.Response:
        """POST a file as an upload."""
        return self.client.post(
            "/v1/uploads", content=content, headers={"Content-Type": media_type}
        )

    def swap(self, kind: str, upload_id: str, identity_id: str, **body: object) -> httpx.Response:
        """POST a swap of `kind` "image" or "video"."""
        return self.client.post(
            f"/v1/swaps/{kind}",
            json={"input": {"upload_id": upload_id}, "identity_id": identity_id, **body},
        )

    def finished(self, job_id: str, timeout_s: float = 120.0) -> dict[str, Any]:
        """Wait for a job's final state and return the job."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            job = self.client.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"}).json()
            if job["status"] in ("succeeded", "failed", "canceled", "expired"):
                return job

        raise AssertionError(f"not final after {timeout_s} s: {job}")
