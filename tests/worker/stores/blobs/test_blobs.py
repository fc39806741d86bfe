"""Bytes by name, the same in a directory and in a bucket."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.object_server import ObjectServer
from worker.errors import MediaUnavailable, MediaUnsuitable
from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.object_blobs import ObjectBlobs
from worker.stores.blobs.object_copies import IDLE_COPY_S

NAME = "jobs/job_a/result.mp4"


def _file(directory: Path, content: bytes) -> Path:
    file = directory / "made"
    file.write_bytes(content)
    return file


def test_a_file_that_was_put_is_read_sought_in_and_brought(blobs: Blobs, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    made = _file(tmp_path, content)
    blobs.put(made, NAME)
    assert not made.exists()
    assert blobs.exists(NAME)
    assert blobs.read(NAME) == content

    with blobs.open(NAME) as file:
        file.seek(-100, os.SEEK_END)
        assert file.read() == content[-100:]
        file.seek(5)
        assert file.read(7) == content[5:12]

    blobs.bring(NAME, tmp_path / "brought")
    assert (tmp_path / "brought").read_bytes() == content


def test_a_file_that_is_sent_in_parts_is_whole(blobs: Blobs, tmp_path: Path) -> None:
    content = os.urandom(1 << 20) * 18
    blobs.put(_file(tmp_path, content), NAME)
    assert blobs.read(NAME) == content


def test_the_same_result_may_be_put_twice(blobs: Blobs, tmp_path: Path) -> None:
    for _ in range(2):
        blobs.put(_file(tmp_path, b"same"), NAME)
    assert blobs.read(NAME) == b"same"


def test_whoever_creates_first_wins(blobs: Blobs) -> None:
    assert blobs.create("installation", b"first")
    assert not blobs.create("installation", b"second")
    assert blobs.read("installation") == b"first"


def test_what_is_missing_is_said_to_be(blobs: Blobs, tmp_path: Path) -> None:
    assert not blobs.exists(NAME)
    blobs.delete(NAME)
    for ask in (blobs.read, blobs.open, lambda name: blobs.bring(name, tmp_path / "x")):
        with pytest.raises(FileNotFoundError):
            ask(NAME)


def test_a_folder_goes_with_all_that_is_in_it(blobs: Blobs, tmp_path: Path) -> None:
    for name in (NAME, "jobs/job_a/parts/one.part", "jobs/job_ab/result.mp4"):
        blobs.put(_file(tmp_path, b"x"), name)

    blobs.delete_all("jobs/job_a")
    assert not blobs.exists(NAME)
    assert not blobs.exists("jobs/job_a/parts/one.part")
    assert blobs.exists("jobs/job_ab/result.mp4")
    blobs.delete_all("jobs/job_none")


def test_what_is_old_is_listed(blobs: Blobs, tmp_path: Path) -> None:
    blobs.put(_file(tmp_path, b"x"), NAME)
    time.sleep(1.1)  # the server's clock shows whole seconds
    assert list(blobs.older("jobs", 0.0)) == [NAME]
    assert list(blobs.older("jobs", 3600.0)) == []
    assert list(blobs.older("uploads", 0.0)) == []


def test_a_place_that_is_fit_says_so(blobs: Blobs) -> None:
    blobs.require_suitable()
    assert blobs.is_usable()


def test_a_bucket_that_keeps_versions_is_refused(
    object_server: ObjectServer, bucket: str, tmp_path: Path
) -> None:
    versioned = object_server.new_bucket(versioned=True)
    with pytest.raises(MediaUnsuitable, match="old versions"):
        ObjectBlobs(versioned, tmp_path, 1 << 20).require_suitable()


def test_a_bucket_that_is_not_there_is_said_to_be(bucket: str, tmp_path: Path) -> None:
    lost = ObjectBlobs("s3://no-such-bucket/x", tmp_path, 1 << 20)
    assert not lost.is_usable()
    with pytest.raises((MediaUnavailable, FileNotFoundError)):
        lost.require_suitable()


def test_copies_are_bounded_and_go_when_nobody_uses_them(bucket: str, tmp_path: Path) -> None:
    blobs = ObjectBlobs(bucket, tmp_path / "scratch", cache_bytes=250)
    for number in range(3):
        blobs.put(_file(tmp_path, os.urandom(100)), f"uploads/{number}")
        blobs.bring(f"uploads/{number}", tmp_path / f"{number}")

    copies = list((tmp_path / "scratch" / "cache").iterdir())
    assert len(copies) == 2

    for copy in copies:
        os.utime(copy, (time.time() - IDLE_COPY_S - 1,) * 2)
    blobs.tidy()
    assert not list((tmp_path / "scratch" / "cache").iterdir())


def test_a_second_use_of_an_object_asks_nobody(
    object_server: ObjectServer, bucket: str, tmp_path: Path
) -> None:
    blobs = ObjectBlobs(bucket, tmp_path / "scratch", 1 << 20)
    blobs.put(_file(tmp_path, b"video"), "uploads/video")
    blobs.bring("uploads/video", tmp_path / "first")
    blobs.delete("uploads/video")  # so that a request could only fail
    blobs.bring("uploads/video", tmp_path / "second")
    assert (tmp_path / "second").read_bytes() == b"video"
