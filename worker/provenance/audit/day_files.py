"""The files that the audit trail is written to, one a day, so that old days go as files.

They are only ever appended to, and synced before the store forgets what was appended.
"""

from __future__ import annotations

import datetime
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from worker.provenance.audit.lines import AuditFilter, AuditLine, read_line
from worker.stores.blobs.durable_files import noticing_full_disk, sync_directory

LOCK = "append.lock"
_TAIL_BYTES = 65_536  # longer than any line, so that the end of a file has a whole one


class DayFiles:
    """The lines in one directory, in the order in which they were appended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Yield whether nobody else appends while the block runs; raises DiskFull."""
        with noticing_full_disk():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            # Which gives the lock back; so does the end of a process that is killed.
            os.close(descriptor)

    def append(self, texts: Mapping[str, Sequence[str]]) -> None:
        """Append lines by day, each ending with a newline; raises DiskFull."""
        newest = self._days()[-1].stem if self._days() else ""
        for day, lines in texts.items():
            # Clocks of several hosts differ: the chain stays in the order of its numbers.
            newest = max(newest, day)
            append_text(self._directory / f"{newest}.jsonl", "".join(lines))

    def lines(self, wanted: AuditFilter | None = None) -> Iterator[AuditLine]:
        """Yield the lines that are wanted, oldest first."""
        wanted = wanted or AuditFilter()
        for path in self._days():
            # A query about last week must not read years of files.
            if not _may_hold(path, wanted):
                continue
            with path.open() as file:
                for text in file:
                    line = read_line(text)
                    if wanted.wants(line.entry):
                        yield line

    def newest_first(self, wanted: AuditFilter) -> Iterator[AuditLine]:
        """Yield the lines that are wanted, newest first; a day is read at a time."""
        for path in reversed(self._days()):
            if not _may_hold(path, wanted):
                continue
            for text in reversed(path.read_text().splitlines()):
                line = read_line(text)
                if wanted.wants(line.entry):
                    yield line

    def last(self) -> AuditLine | None:
        """Return the newest line."""
        for path in reversed(self._days()):
            if text := _last_text(path):
                return read_line(text)
        return None

    def _days(self) -> list[Path]:
        return sorted(self._directory.glob("????-??-??.jsonl"))


def append_text(path: Path, text: str) -> None:
    """Append to a file, which is made where there is none, and sync it; raises DiskFull."""
    with noticing_full_disk():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not path.exists()
        # Append only: no write of ours can land on an older line.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

        with os.fdopen(descriptor, "r+b") as file:
            _drop_unfinished_line(file.fileno())
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())

        if is_new:
            sync_directory(path.parent)


def _drop_unfinished_line(descriptor: int) -> None:
    """Remove half a line, as a power cut leaves; its entry is still pending in the store."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    whole = tail.rfind(b"\n") + 1

    if tail and whole < len(tail):
        os.ftruncate(descriptor, size - (len(tail) - whole))


def _last_text(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().split(b"\n")
    # The last element is what follows the last newline: nothing, or an unfinished line.
    return lines[-2].decode() if len(lines) > 1 else ""


def _may_hold(path: Path, wanted: AuditFilter) -> bool:
    """Whether a day's file can hold what is wanted; a day's margin allows for hosts' clocks."""
    day = datetime.datetime.strptime(path.stem, "%Y-%m-%d").replace(tzinfo=datetime.UTC).timestamp()
    return day + 2 * 86_400 > wanted.since and day - 86_400 < wanted.until
