"""Bytes as objects in a bucket: hosts that share no disk.

Only the processes that hold our settings speak to the bucket; a confined child is given copies.
"""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from worker.errors import MediaUnavailable, MediaUnsuitable
from worker.stores.blobs.blobs import Name
from worker.stores.blobs.object_copies import ObjectCopies
from worker.stores.blobs.object_reader import BLOCK_BYTES, ObjectReader
from worker.stores.ids import new_id

log = logging.getLogger(__name__)

# A request moves at most one block or part, so this bounds the slowest link at 270 KB/s.
REQUEST_TIMEOUT_S = 30
RETRIES = 3
RETRY_WITHIN_S = 20
# Above this an object is sent in parts, whose names nobody can fence; those are names of content.
SINGLE_PUT_BYTES = 16 << 20
PART_BYTES = 8 << 20
PARTS_AT_ONCE = 4


class ObjectBlobs:
    """Implements `Blobs` on S3 or what speaks like it."""

    def __init__(self, url: str, scratch: Path, cache_bytes: int) -> None:
        """Use the bucket and prefix in `url` (`s3://bucket/prefix`).

        Credentials, region and endpoint come from where AWS's own tools take them: `AWS_*` in the
        environment, a web identity, or the machine's role.
        """
        self._store: Any = from_url(
            url,
            client_options={
                "timeout": timedelta(seconds=REQUEST_TIMEOUT_S),
                "connect_timeout": timedelta(seconds=5),
                # An endpoint that is named as http:// is meant so.
                "allow_http": os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"),
            },
            retry_config={
                "max_retries": RETRIES,
                "retry_timeout": timedelta(seconds=RETRY_WITHIN_S),
            },
        )
        self._copies = ObjectCopies(scratch / "cache", cache_bytes, self.open)

    def require_suitable(self) -> None:
        """Write, write again, delete and look: four requests that show what the server does.

        Raises:
            MediaUnsuitable: it overwrites what must not be, or keeps what was deleted.
            MediaUnavailable: it does not answer, or refuses us.
        """
        name = f"probes/{new_id('upl')}"
        with _reaching():
            version = obstore.put(self._store, name, b"first", mode="create")["version"]
            try:
                obstore.put(self._store, name, b"second", mode="create")
            except AlreadyExistsError:
                pass
            else:
                raise MediaUnsuitable(
                    "The object server overwrites an object that was to be created"
                    " (If-None-Match): results could be exchanged."
                )
            finally:
                obstore.delete(self._store, name)

        if version is not None and self._is_kept(name, version):
            raise MediaUnsuitable(
                "The bucket keeps old versions: what is erased would not be gone. Suspend"
                " versioning and delete the old versions, or use another bucket."
            )

    def is_usable(self) -> bool:
        """Return whether the bucket answers."""
        try:
            # One small request; whether anything is listed does not matter.
            next(iter(obstore.list(self._store, "installation", chunk_size=1)), None)
        except (BaseError, OSError):
            return False
        return True

    def put(self, file: Path, name: Name) -> None:
        """Send the file; nobody sees it before it is whole."""
        small = file.stat().st_size <= SINGLE_PUT_BYTES
        with (
            _reaching(),
            suppress(AlreadyExistsError),
        ):  # another attempt was first, with the same bytes
            obstore.put(
                self._store,
                name,
                file,
                mode="create" if small else "overwrite",
                use_multipart=not small,
                chunk_size=PART_BYTES,
                max_concurrency=PARTS_AT_ONCE,
            )

        file.unlink()

    def create(self, name: Name, content: bytes) -> bool:
        """Keep a few bytes under a name that nobody has."""
        with _reaching():
            try:
                obstore.put(self._store, name, content, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def write(self, name: Name, content: bytes) -> None:
        """Put an object into the place of one that may be there."""
        with _reaching():
            obstore.put(self._store, name, content)

    def read(self, name: Name) -> bytes:
        """Return all bytes."""
        with _reaching():
            return bytes(obstore.get(self._store, name).bytes())

    def open(self, name: Name) -> BinaryIO:
        """Return a file over range reads."""
        with _reaching():
            meta = obstore.head(self._store, name)
        reader = ObjectReader(self._store, name, meta["size"], meta["e_tag"] or "")
        return io.BufferedReader(reader, BLOCK_BYTES)

    def open_file(self, name: Name) -> BinaryIO:
        """Return a copy that has no name, so that it ends with its last user."""
        return self._copies.open_nameless(name)

    def bring(self, name: Name, place: Path) -> None:
        """Link the cached copy, which is fetched first where there is none."""
        self._copies.link(name, place)

    def exists(self, name: Name) -> bool:
        """Return whether the object is there."""
        try:
            with _reaching():
                obstore.head(self._store, name)
        except FileNotFoundError:
            return False
        return True

    def delete(self, name: Name) -> None:
        """Remove the object."""
        # Deleting twice is no mistake.
        with _reaching(), suppress(FileNotFoundError):
            obstore.delete(self._store, name)

    def delete_all(self, folder: Name) -> None:
        """Remove the objects under a prefix, as many at a time as one request may name."""
        with _reaching():
            for batch in obstore.list(self._store, f"{folder}/"):
                obstore.delete(self._store, [entry["path"] for entry in batch])

    def put_url(self, name: Name, for_s: float) -> str | None:
        """Return a URL that the bucket accepts a PUT at."""
        with _reaching():
            return str(obstore.sign(self._store, "PUT", name, timedelta(seconds=for_s)))

    def older(self, folder: Name, age_s: float) -> Iterator[Name]:
        """Yield names by the server's clock."""
        before = datetime.now(UTC) - timedelta(seconds=age_s)
        with _reaching():
            for batch in obstore.list(self._store, f"{folder}/"):
                yield from (e["path"] for e in batch if e["last_modified"] < before)

    def tidy(self) -> None:
        """Remove copies that were not used lately."""
        self._copies.tidy()

    def _is_kept(self, name: Name, version: str) -> bool:
        try:
            with _reaching():
                obstore.get(self._store, name, options={"version": version})
        except FileNotFoundError:
            return False
        return True


@contextmanager
def _reaching() -> Iterator[None]:
    """Translate the client's exceptions into ours; FileNotFoundError is its own, and passes."""
    try:
        yield
    except AlreadyExistsError:
        raise
    except BaseError as error:
        # Its text may name the endpoint, but no credentials.
        log.warning("object server refused", extra={"error": str(error)[:300]})
        raise MediaUnavailable from error
