"""What a target is: judged by its first bytes, and measured in a confined child, as uploads are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from likeness.errors import CommandError
from service.sandbox.child import ChildError, prober
from service.settings import Settings
from worker.contract.requests import JobKind
from worker.formats import swap_kind
from worker.media.media_types import refusal, sniff_file


@dataclass(frozen=True)
class Target:
    """A file to work on: pixels, frames (None where the file does not say) and media type."""

    path: Path
    media_type: str
    width: int
    height: int
    frames: int | None

    @property
    def swap_kind(self) -> JobKind:
        """Return the kind of job that swaps in it; an animation is swapped as a video."""
        return swap_kind(self.media_type, self.frames)


def examine(path: Path, settings: Settings) -> Target:
    """Return what the file is; raises CommandError for one that cannot be worked on."""
    # The service's bound holds here too, so that a file behaves alike in both.
    size = path.stat().st_size
    if size > settings.max_upload_bytes:
        raise CommandError(
            f"{path} has {size:,} bytes, and at most {settings.max_upload_bytes:,} are taken:"
            " raise LIKENESS_MAX_UPLOAD_BYTES or cut the file"
        )

    with path.open("rb") as file:
        media_type, head = sniff_file(file)
    # An empty file has no first bytes to judge, and "unknown format" would mislead.
    if not head:
        raise CommandError(f"{path} is empty: check that it was copied whole")
    if media_type is None:
        raise CommandError(f"{path} cannot be used: {refusal(head)}")

    return asyncio.run(_measured(path, media_type, settings))


async def _measured(path: Path, media_type: str, settings: Settings) -> Target:
    child = prober(settings)
    try:
        with path.open("rb") as file:
            request = {"media_type": media_type}
            said = (await child.ask(request, [file], settings.probe_timeout_s)).header
    except ChildError as error:
        raise CommandError(
            f"{path} could not be read within its limits: check that it opens elsewhere"
        ) from error
    finally:
        await child.stop()

    # The child's refusals name a reason; the one above is a child that died or took too long.
    if "code" in said:
        raise CommandError(f"{path} cannot be used: {said['detail']}")

    return Target(path, media_type, said["width"], said["height"], said["frames"])
