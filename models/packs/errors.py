"""What can go wrong with packs.

PackError
├── PackMissingError     pack_missing        no such pack is installed
├── PackUnreadableError  pack_unreadable     it is, but this user may not read it
├── PackBrokenError      pack_broken         a file is missing, or not what the manifest says
├── FetchError           fetch_failed        a part could not be fetched
└── CheckpointError      checkpoint_invalid  an official checkpoint is not what it should be,
                                             or is unsafe to read
"""

from __future__ import annotations

from typing import ClassVar


class PackError(Exception):
    """Base of all errors of this package: a stable `code`, and one sentence with the remedy."""

    # Codes are part of the interface: readiness, the command line and job errors show them.
    code: ClassVar[str] = "pack_unusable"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class PackMissingError(PackError):
    """No such pack is installed."""

    code = "pack_missing"


class PackUnreadableError(PackError):
    """The pack is installed, but this process's user may not read it."""

    code = "pack_unreadable"


class PackBrokenError(PackError):
    """A file of the pack is missing, or is not what its manifest says."""

    code = "pack_broken"


class FetchError(PackError):
    """A part of the pack could not be fetched."""

    # Not `pack_missing`: what is asked for exists, but cannot be fetched from here or now.
    code = "fetch_failed"


class CheckpointError(PackError):
    """An official checkpoint is not what it should be, or is unsafe to read."""

    code = "checkpoint_invalid"
