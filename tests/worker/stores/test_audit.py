"""The audit trail: complete under load, and any change to it shows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from worker.errors import AuditBroken
from worker.process.upkeep.audit_keeper import AuditKeeper
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.audit.lines import AuditFilter
from worker.provenance.provenance_store import ProvenanceStore
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import BATCH, AuditEntry, AuditLog
from worker.stores.blobs.directory_blobs import DirectoryBlobs

NOW = 1_790_000_000.0


class Trail:
    """A log, its archive, and the keys of one installation."""

    def __init__(self, redis: Redis, folder: Path) -> None:
        keys = TrustStore(folder / "trust")
        keys.prepare()
        self.signer = keys.signer()
        self.log = AuditLog(redis, clock=lambda: NOW)
        self.folder = folder / "audit"
        self.archive_key = keys.audit_key()
        self.archive = AuditArchive(self.folder, self.archive_key)

    def fill(self, count: int) -> None:
        for number in range(count):
            self.log.append("identity.used", "acme", "key-1", f"idn_{number}")
        while self.archive.take(self.log):
            pass

    def verify(self) -> int:
        return self.archive.verify(self.signer.verify, self.log.last_seq())

    def lines(self) -> list[str]:
        return self.day.read_text().splitlines(keepends=True)

    @property
    def day(self) -> Path:
        return next(self.folder.glob("*.jsonl"))


@pytest.fixture
def trail(store: Redis, tmp_path: Path) -> Trail:
    return Trail(store, tmp_path)


def keeper_of(trail: Trail) -> AuditKeeper:
    """Return what the leading worker calls once a second."""
    records = ProvenanceStore(DirectoryBlobs(trail.folder.parent / "media"))
    return AuditKeeper(trail.log, trail.archive, trail.signer, records, keep_days=1)


def test_two_leaders_at_once_write_no_entry_twice(trail: Trail) -> None:
    for number in range(600):
        trail.log.append("a", "acme", "k", str(number))

    def keep(_: int) -> None:
        # Each with a batch that the other has as well.
        archive = AuditArchive(trail.folder, trail.archive_key)
        while trail.log.pending(1):
            archive.take(trail.log)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep, range(4)))

    assert trail.verify() == 600


class BusyLog(AuditLog):
    """Has another entry whenever it is looked into, until so many have come."""

    most = 50
    came = 0

    def pending(self, count: int = BATCH) -> list[AuditEntry]:
        if self.came < self.most:
            self.came += 1
            self.append("a", "acme", "k", "x")
        return super().pending(count)


def test_a_round_of_archiving_ends_while_entries_keep_coming(trail: Trail, store: Redis) -> None:
    trail.log = BusyLog(store, clock=lambda: NOW)
    keeper_of(trail).run()
    # Else the leader would archive and do nothing else, and another one would take its place.
    assert trail.log.came < trail.log.most
    assert trail.verify() == trail.log.came


def test_entries_of_many_writers_are_all_archived_in_order(trail: Trail, store: Redis) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: trail.log.append("a", "acme", "k", str(n)), range(400)))

    while trail.archive.take(trail.log):
        pass

    assert trail.verify() == 400
    assert [line.entry.seq for line in trail.archive.files.lines()] == list(range(1, 401))
    assert store.xlen("lk:audit") == 0


def test_a_crash_between_disk_and_store_writes_nothing_twice(trail: Trail) -> None:
    trail.fill(3)
    for number in range(3):
        trail.log.append("a", "acme", "k", str(number))

    again = trail.log.pending()
    trail.archive.take(trail.log)
    trail.log._redis.xadd("lk:audit", {"seq": again[0].seq, "body": json.dumps(again[0].body)})
    assert trail.archive.take(trail.log) == 0
    assert trail.verify() == 6


def test_half_a_line_left_by_a_power_cut_is_written_anew(trail: Trail) -> None:
    trail.fill(2)
    with trail.day.open("a") as file:
        file.write('{"seq": 3, "prev')
    trail.fill(1)
    assert trail.verify() == 3


def test_an_edited_line_shows(trail: Trail) -> None:
    trail.fill(5)
    trail.day.write_text(trail.day.read_text().replace("idn_2", "idn_9"))
    with pytest.raises(AuditBroken, match="Entry 3 "):
        trail.verify()


def test_a_removed_line_shows(trail: Trail) -> None:
    trail.fill(5)
    lines = trail.lines()
    trail.day.write_text("".join(lines[:2] + lines[3:]))
    with pytest.raises(AuditBroken):
        trail.verify()


def test_a_cut_tail_shows(trail: Trail) -> None:
    trail.fill(5)
    trail.day.write_text("".join(trail.lines()[:3]))
    with pytest.raises(AuditBroken, match="4 to 5 are missing"):
        trail.verify()


def test_a_chain_rewritten_with_the_key_does_not_match_the_signed_head(
    trail: Trail, store: Redis
) -> None:
    trail.fill(5)
    trail.archive.sign_head(trail.signer.sign, NOW)
    forged = [json.loads(line)["body"] for line in trail.lines()]
    forged[2]["subject"] = "idn_9"
    trail.day.unlink()
    store.delete("lk:audit:seq")

    for body in forged:
        trail.log.append(body["event"], body["tenant"], body["actor"], body["subject"])

    trail.archive.take(trail.log)
    with pytest.raises(AuditBroken, match="head that was signed"):
        trail.verify()


def test_heads_are_signed_by_count_and_by_time(trail: Trail) -> None:
    trail.fill(1)
    assert trail.archive.sign_head(trail.signer.sign, NOW) is not None
    trail.fill(1)
    assert trail.archive.sign_head(trail.signer.sign, NOW + 60) is None
    assert trail.archive.sign_head(trail.signer.sign, NOW + 3601) is not None
    assert trail.verify() == 2


def test_a_forged_head_shows(trail: Trail) -> None:
    trail.fill(2)
    trail.archive.sign_head(trail.signer.sign, NOW)
    heads = trail.folder / "heads.log"
    heads.write_text(heads.read_text().replace('"seq": 2', '"seq": 1'))

    with pytest.raises(AuditBroken, match="signature"):
        trail.verify()


def test_readers_filter_by_tenant_event_subject_time_and_place(trail: Trail) -> None:
    trail.fill(3)
    trail.log.append("identity.erased", "other", "key-2", "idn_1")
    trail.archive.take(trail.log)

    def found(wanted: AuditFilter) -> list[int]:
        return [line.entry.seq for line in trail.archive.files.lines(wanted)]

    assert found(AuditFilter(tenant="acme")) == [1, 2, 3]
    assert found(AuditFilter(event="identity.erased")) == [4]
    assert found(AuditFilter(subject="idn_1")) == [2, 4]
    assert found(AuditFilter(after=2)) == [3, 4]
    assert found(AuditFilter(until=NOW)) == []


def test_a_change_of_policy_is_noted_once_for_all_processes(store: Redis) -> None:
    log = AuditLog(store, clock=lambda: NOW)
    policy = {"nudity_check": "on", "age_check": "on"}
    with ThreadPoolExecutor(8) as pool:
        noted = list(pool.map(lambda _: log.note_policy("worker", policy), range(8)))

    assert sum(noted) == 1
    assert not log.note_policy("worker", policy)
    assert log.note_policy("worker", policy | {"age_check": "off"})
    first, second = (entry.body for entry in log.pending())
    assert first["changed"] == "age_check,nudity_check"
    assert (second["changed"], second["age_check"]) == ("age_check", "off")
    assert second["actor"] == "worker"
