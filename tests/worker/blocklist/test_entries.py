"""The never-swap list at rest: sealed, bounded, and gone when it is erased."""

from __future__ import annotations

import time
from array import array
from pathlib import Path

import pytest
from redis import Redis

from tests.vaults import vault_of
from worker.blocklist import entries, records
from worker.blocklist.entries import BlocklistStore
from worker.blocklist.records import Face, new_entry
from worker.errors import BlocklistFull, BlocklistUnreadable, UnknownBlocklistEntry
from worker.process.upkeep.expiry import ExpirySweep
from worker.stores.audit_log import AuditLog
from worker.stores.blobs.directory_blobs import DirectoryBlobs
from worker.stores.identities.identity_store import IdentityStore
from worker.stores.keys import BLOCKED, ERASURE_WANTED, EXPIRY
from worker.stores.media.media_store import MediaStore

KEY = b"k" * 32
LABEL = "somebody whose name must not be readable"


def a_face(direction: int = 0, length: int = 128) -> Face:
    return array("f", [float(place == direction) for place in range(length)])


def an_entry(state: records.State = "active", keep_s: float = 3600.0) -> records.BlocklistEntry:
    return new_entry(
        state=state,
        reason="legal",
        pack="open@0123",
        label=LABEL,
        contact="",
        added_by="acme/key",
        keep_s=keep_s,
    )


@pytest.fixture
def blocklist(store: Redis) -> BlocklistStore:
    return BlocklistStore(store, KEY)


def test_an_entry_comes_back_and_its_face_is_compared(blocklist: BlocklistStore) -> None:
    entry = an_entry()
    blocklist.add(entry, a_face(3))
    assert blocklist.get(entry.id) == entry
    (blocked,) = blocklist.faces()
    assert (blocked.entry_id, blocked.pack, blocked.face) == (entry.id, "open", a_face(3))


def test_the_store_holds_neither_face_nor_label_in_the_open(
    blocklist: BlocklistStore, store: Redis
) -> None:
    entry = an_entry()
    blocklist.add(entry, a_face(3))
    held = b"".join(store.hgetall(BLOCKED(entry.id)).values())
    assert LABEL.encode() not in held
    assert a_face(3).tobytes() not in held

    with pytest.raises(BlocklistUnreadable):
        BlocklistStore(store, b"x" * 32).get(entry.id)

    # Without its key the list refuses everybody rather than nobody, and can be emptied.
    other = BlocklistStore(store, b"x" * 32)
    with pytest.raises(BlocklistUnreadable):
        other.faces()
    assert [shown.label for shown in other.newest_first()] == [entries.UNREADABLE]
    other.remove(entry.id)
    assert other.faces() == []


def test_a_sealed_face_cannot_be_moved_to_another_entry(
    blocklist: BlocklistStore, store: Redis
) -> None:
    first = an_entry()
    second = an_entry()
    blocklist.add(first, a_face(1))
    blocklist.add(second, a_face(2))
    stolen = store.hget(BLOCKED(first.id), "sealed")
    store.hset(BLOCKED(second.id), "sealed", stolen)
    with pytest.raises(BlocklistUnreadable):
        blocklist.get(second.id)


def test_another_process_sees_a_change_at_once(blocklist: BlocklistStore, store: Redis) -> None:
    other = BlocklistStore(store, KEY)
    assert other.faces() == []
    entry = an_entry()
    blocklist.add(entry, a_face())
    assert [blocked.entry_id for blocked in other.faces()] == [entry.id]
    blocklist.remove(entry.id)
    assert other.faces() == []


def test_a_request_is_not_compared_before_it_is_approved(blocklist: BlocklistStore) -> None:
    entry = an_entry("pending")
    blocklist.add(entry, a_face(), token="secret")
    assert blocklist.faces() == []
    assert blocklist.owned(entry.id, "secret") == entry

    with pytest.raises(UnknownBlocklistEntry):
        blocklist.owned(entry.id, "guess")

    blocklist.activate(entry.id, entry.created_at + 10_000)
    assert len(blocklist.faces()) == 1


def test_the_list_and_its_requests_are_bounded(
    blocklist: BlocklistStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MOST_ENTRIES", 3)
    monkeypatch.setattr(entries, "MOST_PENDING", 1)
    blocklist.add(an_entry("pending"), a_face())
    with pytest.raises(BlocklistFull):
        blocklist.add(an_entry("pending"), a_face())

    blocklist.add(an_entry(), a_face())
    blocklist.add(an_entry(), a_face())
    with pytest.raises(BlocklistFull):
        blocklist.add(an_entry(), a_face())


def test_an_erased_entry_leaves_no_key_and_asks_for_a_new_log(
    blocklist: BlocklistStore, store: Redis
) -> None:
    entry = an_entry()
    blocklist.add(entry, a_face())
    before = time.time()
    blocklist.remove(entry.id)
    assert [key for key in store.scan_iter() if entry.id.encode() in key] == []
    assert store.zscore(EXPIRY(), entry.id) is None
    assert float(store.get(ERASURE_WANTED())) >= before

    with pytest.raises(UnknownBlocklistEntry):
        blocklist.remove(entry.id)


def test_an_entry_ends_at_its_time_and_the_trail_says_so(
    blocklist: BlocklistStore, store: Redis, tmp_path: Path
) -> None:
    entry = an_entry(keep_s=-1.0)
    blocklist.add(entry, a_face())
    ExpirySweep(
        MediaStore(DirectoryBlobs(tmp_path), tmp_path, store), IdentityStore(store, vault_of(store))
    ).run()
    assert blocklist.count() == 0
    (noted,) = AuditLog(store).pending()
    assert (noted.body["event"], noted.body["subject"]) == ("blocklist.removed", entry.id)
