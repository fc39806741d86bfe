"""Records of outputs: found by mark and by bytes, from every host, and kept for a time."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from worker.provenance.provenance_store import DAY_S, ProvenanceRecord, ProvenanceStore
from worker.stores.blobs.blobs import Blobs
from worker.stores.blobs.directory_blobs import DirectoryBlobs

RECORD = ProvenanceRecord(
    mark_id="0000cafe",
    job="job_1",
    tenant="acme",
    made_at=1_790_000_000.0,
    kind="video",
    sha256="ab" * 32,
    hashes=(1, 2, 3),
)


@pytest.fixture
def records(blobs: Blobs) -> ProvenanceStore:
    store = ProvenanceStore(blobs)
    store.put(RECORD, b"manifest")
    return store


def test_a_record_is_found_by_its_mark_and_by_its_bytes(records: ProvenanceStore) -> None:
    assert records.get("0000cafe") == RECORD
    assert records.find("ab" * 32) == RECORD
    assert records.manifest("0000cafe") == b"manifest"
    assert records.get("ffffffff") is None
    assert records.find("cd" * 32) is None
    assert records.manifest("ffffffff") is None


def test_names_from_outside_cannot_leave_the_directory(records: ProvenanceStore) -> None:
    for name in ("../../x", "0000CAFE", "", "0000cafe0"):
        with pytest.raises(ValueError, match="hex digits"):
            records.get(name)
    with pytest.raises(ValueError, match="hex digits"):
        records.find("../" * 20 + "abcd")


def test_a_second_attempt_replaces_the_record(records: ProvenanceStore) -> None:
    records.put(replace(RECORD, kind="image"), b"another manifest")
    found = records.get("0000cafe")
    assert found is not None
    assert found.kind == "image"
    assert records.manifest("0000cafe") == b"another manifest"


def test_old_records_expire_with_everything_of_theirs(tmp_path: Path) -> None:
    records = ProvenanceStore(DirectoryBlobs(tmp_path))
    records.put(RECORD, b"manifest")
    now = time.time()
    for path in tmp_path.rglob("*"):
        os.utime(path, (now - 10 * DAY_S, now - 10 * DAY_S))

    assert records.expire(keep_days=11) == 0
    assert records.expire(keep_days=9) == 1
    assert records.get("0000cafe") is None
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
