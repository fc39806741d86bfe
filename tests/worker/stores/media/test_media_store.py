"""Uploads are private and whole, and media belong to one installation."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis

from tests.worker.stores.media.conftest import PNG, upload
from worker.errors import (
    MediaUnavailable,
    MediaUnsuitable,
    UnknownMedia,
)
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.ids import new_id
from worker.stores.media.installation import MARKER
from worker.stores.media.media_store import MediaStore


def test_an_upload_is_kept_under_our_name_for_its_tenant_alone(media: MediaStore) -> None:
    media_id = upload(media)
    record = media.stat(media_id, "acme")
    assert (record.bytes, record.facts) == (5, PNG)

    with media.open(media_id, "acme") as file:
        assert file.read() == b"image"

    for tenant, wanted in (
        ("rival", media_id),
        ("acme", new_id("upl")),
        ("acme", "upl_../../../etc/passwd"),
    ):
        with pytest.raises(UnknownMedia):
            media.stat(wanted, tenant)


def test_files_are_private(shelf: MediaStore, tmp_path: Path) -> None:
    media = shelf
    path = tmp_path / "media" / media.name(media.stat(upload(media)))
    assert oct(path.stat().st_mode)[-3:] == "600"
    assert all(
        oct(parent.stat().st_mode)[-3:] == "700"
        for parent in (path.parent, path.parent.parent, media.scratch)
    )


def test_an_aborted_upload_leaves_nothing(media: MediaStore, store: Redis) -> None:
    writer = media.begin_write("acme")
    writer.write(b"half")
    writer.abort()
    assert not [path for path in media.scratch.rglob("*") if path.is_file()]
    assert not list(media.blobs.older("uploads", -60.0))
    assert store.keys("lk:media:*") == []


def test_media_of_another_installation_are_refused(
    media: MediaStore, store: Redis, tmp_path: Path
) -> None:
    media.installation.join()
    media.installation.join()
    other = MediaStore(DirectoryBlobs(tmp_path / "not-mounted"), tmp_path / "not-mounted", store)
    with pytest.raises(MediaUnsuitable, match="mount the same directory"):
        other.installation.join()

    # The remedy of the message, for media that were restored from elsewhere.
    other.blobs.create(MARKER, store.get("lk:installation"))
    other.installation.join()


def test_media_that_outlive_their_records_are_joined(media: MediaStore, store: Redis) -> None:
    media.installation.join()
    store.flushall()
    media.installation.join()
    assert store.get("lk:installation") == media.blobs.read(MARKER)


def test_a_volume_that_was_unmounted_is_lost_media_and_not_a_missing_file(
    shelf: MediaStore, tmp_path: Path
) -> None:
    shelf.installation.join()
    record = shelf.stat(upload(shelf))
    shelf.blobs.delete(shelf.name(record))
    with pytest.raises(UnknownMedia):
        shelf.bring(record, tmp_path / "place")

    (shelf.scratch / MARKER).unlink()  # all else is there, as when a fresh volume was mounted
    assert not shelf.installation.is_usable()
    with pytest.raises(MediaUnavailable):
        shelf.bring(record, tmp_path / "place")
