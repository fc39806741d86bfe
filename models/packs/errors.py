"""What can go wrong with packs.

PackError ├── PackMissingError      pack_missing      no such pack is installed ├── PackBrokenError
pack_broken       a file of it is missing, or is not what its manifest says ├── FetchError
fetch_failed      a part could not be had └── CheckpointError       checkpoint_invalid  an official
checkpoint is not what it should be, or is unsafe to read
"""

from __future__ import annotations

from typing import ClassVar


class PackError(Exception):
    """Base of all errors of this package: a stable `code`, and one sentence that says what to
    do.
    """

    code: ClassVar[str] = "pack_unusable"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PackMissingError(PackError):
    code = "pack_missing"


class PackBrokenError(PackError):
    code = "pack_broken"


class FetchError(PackError):
    code = "fetch_failed"


class CheckpointError(PackError):
    code = "checkpoint_invalid"
