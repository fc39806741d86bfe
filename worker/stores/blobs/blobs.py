"""What the media store asks of whatever keeps its bytes.

Names are ours (`uploads/ab/upl_...jpg`, `jobs/job_.../<sha256>.mp4`), and what has a name is whole:
it was complete before it got it. Names of results are those of their content, so two writers of
one name bring the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

Name = str


class Blobs(Protocol):
    """Bytes by name. `MediaUnavailable` is raised by all of it when the place is out of reach."""

    def require_suitable(self) -> None:
        """Raise MediaUnsuitable where names could be overwritten, or deletion would not delete."""

    def is_usable(self) -> bool:
        """Return whether a missing name can be told from a place that is lost."""

    def put(self, file: Path, name: Name) -> None:
        """Give a local file its name; the file is gone afterwards. Raises DiskFull.

        It must be complete, private and on the disk (`durable_files.seal`).
        """

    def create(self, name: Name, content: bytes) -> bool:
        """Keep a few bytes; False when the name is taken. Raises DiskFull."""

    def write(self, name: Name, content: bytes) -> None:
        """Keep a few bytes in the place of what had the name. Raises DiskFull."""

    def read(self, name: Name) -> bytes:
        """Return all bytes; raises FileNotFoundError."""

    def open(self, name: Name) -> BinaryIO:
        """Return the bytes as a file to seek in; raises FileNotFoundError."""

    def open_file(self, name: Name) -> BinaryIO:
        """Return the bytes as a plain file, whose descriptor a child can be handed.

        Raises FileNotFoundError, DiskFull.
        """

    def bring(self, name: Name, place: Path) -> None:
        """Make the bytes a plain file at `place`; raises FileNotFoundError, DiskFull."""

    def exists(self, name: Name) -> bool:
        """Return whether the name is taken."""

    def delete(self, name: Name) -> None:
        """Remove a name, if it is there."""

    def delete_all(self, folder: Name) -> None:
        """Remove every name in a folder, also in those below it."""

    def put_url(self, name: Name, for_s: float) -> str | None:
        """Return a URL to which anybody may PUT the bytes for so long; None where there is none."""

    def older(self, folder: Name, age_s: float) -> Iterator[Name]:
        """Yield the names in a folder, and below, that were given longer than `age_s` ago."""

    def tidy(self) -> None:
        """Let go of local copies that nobody has used for a while; called about once a second."""
