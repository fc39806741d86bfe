"""Swap one person into every image and video below a prefix of a bucket, and put results back.

    python s3_folder.py ada.jpg s3://videos/raw s3://videos/swapped --subject ada@example.org

Needs `pip install boto3`; credentials, region and endpoint come from where AWS's own tools take
them. Objects that have a result already are left out, so that a broken run is simply run again.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import boto3

from likeness_client import Client, Consent, LikenessError

TARGETS = {".jpg", ".jpeg", ".png", ".webp", ".heic", ".gif", ".mp4", ".mov", ".webm", ".mkv"}


def place_of(url: str) -> tuple[str, str]:
    """Return the bucket and the prefix of `s3://bucket/prefix`, the latter with its slash."""
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def names(store: Any, url: str) -> set[str]:  # noqa: ANN401 - boto3 has no types of its own
    """Return the names of all objects below a prefix, relative to it."""
    bucket, prefix = place_of(url)
    pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"][len(prefix) :] for page in pages for entry in page.get("Contents", [])}


@dataclass(frozen=True)
class Folder:
    """What is to be swapped into where, by whom."""

    client: Client
    store: Any
    source: str
    target: str
    identity_id: str

    def swap(self, name: str, scratch: Path) -> bool:
        """Swap one object and return whether that went well."""
        suffix = PurePosixPath(name).suffix.lower()
        before = scratch / f"before{suffix}"
        after = scratch / f"after{suffix}"
        bucket, prefix = place_of(self.source)
        self.store.download_file(bucket, prefix + name, str(before))

        try:
            job = self.client.swap(self.identity_id, before, after)
        except LikenessError as error:
            print(f"{name}: {error}")
            return False

        bucket, prefix = place_of(self.target)
        kind = {"ContentType": job.result.media_type} if job.result else {}
        self.store.upload_file(str(after), bucket, prefix + name, ExtraArgs=kind)
        print(f"{name}: done")
        return True


def run(photo: Path, source: str, target: str, subject: str) -> int:
    """Swap what is in `source` and not yet in `target`; return how many failed."""
    store = boto3.client("s3")
    waiting = sorted(names(store, source) - names(store, target))
    targets = [name for name in waiting if PurePosixPath(name).suffix.lower() in TARGETS]

    with Client() as client, tempfile.TemporaryDirectory() as scratch:
        identity = client.register(photo, consent=Consent(subject))
        folder = Folder(client, store, source, target, identity.id)
        try:
            return sum(not folder.swap(name, Path(scratch)) for name in targets)
        finally:
            client.erase(identity.id)


def main() -> int:
    """Parse the command line; the exit status is 0 when everything was swapped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("source", help="s3://bucket/prefix with what is to be swapped")
    parser.add_argument("target", help="s3://bucket/prefix for the results")
    parser.add_argument("--subject", required=True, help="whose face it is, and who has agreed")
    asked = parser.parse_args()
    return 1 if run(asked.photo, asked.source, asked.target, asked.subject) else 0


if __name__ == "__main__":
    raise SystemExit(main())
