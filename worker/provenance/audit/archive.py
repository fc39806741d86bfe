"""The audit trail on disk: one file a day, each line bound to the one before by a keyed hash.

audit/2026-11-26.jsonl   {"seq", "previous", "body", "mac"} a line
audit/heads.log          {"seq", "mac", "at", "signature"}: heads signed with the C2PA key

An edit or a removed line breaks the chain; a chain rewritten by somebody with the chain's key
does not match the signed heads; a tail cut off misses numbers that the store has given out.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.errors import AuditBroken
from worker.provenance.audit.day_files import DayFiles, append_text
from worker.provenance.audit.lines import AuditLine, day_of
from worker.stores.audit_log import AuditEntry, AuditLog

# Before the first line there is nothing; as long as a hash, so that all lines have one form.
GENESIS = "0" * 64
# What a lost key could rewrite unseen is at most this much.
HEAD_EVERY_ENTRIES = 1000
HEAD_EVERY_S = 3600.0

Sign = Callable[[bytes], bytes]
# Whether a signature (second) belongs to a message (first).
Check = Callable[[bytes, bytes], bool]


@dataclass(frozen=True)
class Head:
    """A signed head: the chain had this hash at this entry."""

    seq: int
    mac: str
    at: float
    signature: str

    @property
    def message(self) -> bytes:
        """What is signed."""
        return f"likeness audit head {self.seq} {self.mac} {self.at!r}".encode()


class AuditArchive:
    """The files of one installation. One process writes (the leader), any may read."""

    def __init__(self, directory: Path, key: bytes) -> None:
        self._directory = directory
        self.files = DayFiles(directory)
        self._key = key

    def take(self, log: AuditLog) -> int:
        """Move a batch of what is pending to disk; return how many entries that were.

        Killed between the two, it finds the entries again and does not write them twice. While
        another process is at it there is nothing to do. Raises DiskFull, StoreError.
        """
        entries = log.pending()
        if not entries:
            return 0

        # A slow leader may find itself beside its successor: two would write entries twice.
        with self.files.alone() as is_alone:
            return self._move(entries, log) if is_alone else 0

    def _move(self, entries: Sequence[AuditEntry], log: AuditLog) -> int:
        last = self.files.last()
        # A crash after the append and before the drop leaves these in the store: they are on disk
        # already.
        new = [entry for entry in entries if entry.seq > (last.entry.seq if last else 0)]
        self._append(new, last.mac if last else GENESIS)
        # Only now: the lines are synced to the disk.
        log.drop(entries)

        return len(new)

    def heads(self) -> list[Head]:
        """Return the signed heads, oldest first."""
        if not self._heads_file.exists():
            return []
        return [Head(**json.loads(text)) for text in self._heads_file.read_text().splitlines()]

    def sign_head(self, sign: Sign, now: float, *, force: bool = False) -> Head | None:
        """Sign the newest line's hash every 1,000 entries or hour; return the head if new."""
        last = self.files.last()
        heads = self.heads()

        # Nothing new to sign.
        if last is None or (heads and heads[-1].seq == last.entry.seq):
            return None

        signed = heads[-1] if heads else Head(seq=0, mac=GENESIS, at=0.0, signature="")
        due = last.entry.seq - signed.seq >= HEAD_EVERY_ENTRIES or now - signed.at >= HEAD_EVERY_S

        if not due and not force:
            return None

        unsigned = Head(seq=last.entry.seq, mac=last.mac, at=now, signature="")
        signature = sign(unsigned.message).hex()
        head = Head(seq=unsigned.seq, mac=unsigned.mac, at=now, signature=signature)
        append_text(self._heads_file, json.dumps(head.__dict__) + "\n")

        return head

    def verify(self, check: Check, last_seq: int | None = None) -> int:
        """Return how many entries there are, all of them as they were written.

        `last_seq` is the newest number that the store has given out and archived. Raises
        AuditBroken and says where.
        """
        heads = {head.seq: head for head in self.heads()}
        # Signatures first: hashes that nobody has signed prove less.
        for head in heads.values():
            if not check(head.message, bytes.fromhex(head.signature)):
                raise AuditBroken(f"The signature of head {head.seq} is not ours.")

        previous: AuditLine | None = None
        count = 0

        for line in self.files.lines():
            self._check_line(line, previous, heads)
            previous = line
            count += 1

        newest = previous.entry.seq if previous else 0
        # Either the store or a signed head says how far the trail must reach.
        expected = max([last_seq or 0, *heads])

        if newest < expected:
            raise AuditBroken(f"Entries {newest + 1} to {expected} are missing at the end.")

        return count

    def _check_line(
        self, line: AuditLine, previous: AuditLine | None, heads: dict[int, Head]
    ) -> None:
        seq = line.entry.seq
        expected = previous.mac if previous else self._beginning(line, heads)

        # The chain and the line's own hash: one tells of removal, the other of a change.
        if line.previous != expected or not hmac.compare_digest(
            line.mac, self._mac(line.previous, line.entry)
        ):
            raise AuditBroken(f"Entry {seq} is not as it was written.")

        if previous is not None and seq != previous.entry.seq + 1:
            raise AuditBroken(f"Entries {previous.entry.seq + 1} to {seq - 1} are missing.")
        if seq in heads and heads[seq].mac != line.mac:
            raise AuditBroken(f"Entry {seq} does not match the head that was signed.")

    @staticmethod
    def _beginning(first: AuditLine, heads: dict[int, Head]) -> str:
        """Return the hash before the first line: of nothing, or of a signed head.

        Days that were removed on purpose end at a signed head.
        """
        if first.entry.seq == 1:
            return GENESIS

        head = heads.get(first.entry.seq - 1)
        if head is None:
            raise AuditBroken(f"Entries 1 to {first.entry.seq - 1} are missing.")

        return head.mac

    def _append(self, entries: Sequence[AuditEntry], previous: str) -> None:
        # One file a day, so that old days can be removed as files.
        by_day: dict[str, list[str]] = {}
        for entry in entries:
            mac = self._mac(previous, entry)
            line = {"seq": entry.seq, "previous": previous, "body": entry.body, "mac": mac}
            by_day.setdefault(day_of(float(entry.body["at"])), []).append(json.dumps(line) + "\n")
            previous = mac

        self.files.append(by_day)

    def _mac(self, previous: str, entry: AuditEntry) -> str:
        body = json.dumps(dict(entry.body), sort_keys=True, separators=(",", ":"))
        return hmac.new(
            self._key, f"{previous}\n{entry.seq}\n{body}".encode(), "sha256"
        ).hexdigest()

    @property
    def _heads_file(self) -> Path:
        return self._directory / "heads.log"
