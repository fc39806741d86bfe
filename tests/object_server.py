"""A server that speaks S3, as a process of its own on loopback: moto's."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.config import Config


def fresh_media() -> str:
    """Return where a bench keeps its media: `LIKENESS_MEDIA` for it.

    A place of its own in the bucket that LIKENESS_TEST_BUCKET names, since the media of two stores
    must not be mixed; empty, which is its directory, where none is named.
    """
    bucket = os.environ.get("LIKENESS_TEST_BUCKET", "")
    return f"{bucket}/{uuid.uuid4().hex[:8]}" if bucket else ""


class ObjectServer:
    """Runs until it is closed; `environment` is what a client of it needs."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]

        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "likeness",
            "AWS_SECRET_ACCESS_KEY": "a-secret-that-no-child-may-see",
            "AWS_REGION": "us-east-1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._await()
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="likeness",
            aws_secret_access_key="a-secret-that-no-child-may-see",
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )

    def new_bucket(self, versioned: bool = False) -> str:
        """Return the URL of a bucket that is empty."""
        name = f"media-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        if versioned:
            self.client.put_bucket_versioning(
                Bucket=name, VersioningConfiguration={"Status": "Enabled"}
            )
        return f"s3://{name}/likeness"

    def names(self, url: str) -> list[str]:
        """Return the names of all objects of a bucket."""
        bucket = url.removeprefix("s3://").partition("/")[0]
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return [entry["Key"] for entry in found]

    def close(self) -> None:
        self.client.close()
        self._process.kill()
        self._process.wait(timeout=10)

    def _await(self) -> None:
        deadline = time.monotonic() + 60  # it imports much, on a busy machine slowly
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(self.url, timeout=1.0).close()  # noqa: S310 - our own
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)

        raise TimeoutError("no object server")
