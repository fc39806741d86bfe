"""Where a job's files lie while the confined child works on them: the only place it can write to.

`in/` holds the job's input and parts, which the child may read, `out/` what it makes. The child is
confined to the two directories when it starts, long before the first job, so the files of a job are
brought in (by a hard link where the media are on this disk) and taken out, and both are emptied
between jobs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from worker.errors import UnknownMedia

DIRECTORY = "staging"


class Staging:
    """The staging directories of one worker, on the file system of its media's scratch."""

    def __init__(self, scratch: Path) -> None:
        parent = scratch / DIRECTORY
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Workers that were killed leave files of people's faces behind.
        _sweep(parent)

        self._root = Path(tempfile.mkdtemp(prefix="worker-", dir=parent)).resolve()
        # Held as long as this process lives: who finds it free may remove the directory.
        self._lock = _locked(self._root)
        self.inward = self._root / "in"
        self.outward = self._root / "out"

        for directory in (self.inward, self.outward):
            directory.mkdir(mode=0o700)

    def bring_in(self, name: str, bring: Callable[[Path], None]) -> Path:
        """Let the child read a file, which `bring` makes; return where it finds it.

        Raises what `bring` does.
        """
        place = self.inward / name
        if not place.exists():
            bring(place)

        return place

    def take_out(self, name: str) -> Path:
        """Return a file that the child made.

        Raises:
            UnknownMedia: there is no plain file of this name; a link is none.
        """
        file = self.outward / name
        # A link that the child made could point at anything the parent may read.
        if Path(name).name != name or file.is_symlink() or not file.is_file():
            raise UnknownMedia("The child made no such file.")

        return file

    def clear(self) -> None:
        """Remove what is left of the job before."""
        for directory in (self.inward, self.outward):
            for entry in os.scandir(directory):
                # Never through a link: the child may have made one to somewhere else.
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the directories."""
        shutil.rmtree(self._root, ignore_errors=True)
        os.close(self._lock)


def _sweep(parent: Path) -> None:
    """Remove the directories of workers that are dead."""
    for directory in parent.iterdir():
        with suppress(OSError):
            lock = _locked(directory)
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)


def _locked(directory: Path) -> int:
    """Return a descriptor that holds the directory's lock; raises OSError when another has it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise

    return descriptor
