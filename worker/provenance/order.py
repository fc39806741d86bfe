"""What a confined process needs to know to mark and sign one job's result."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from worker.contract.options import Strict

# A tile has 64 chips a side (`mark_code.TILE`).
Chip = Annotated[int, Field(ge=0, lt=64)]


class ProvenanceOrder(Strict):
    """The mark to draw and what the manifest is to say; it holds no key.

    `tile` is 64 x 64 bits in hex, row by row: the signs of the mark's chips. `shift` is where the
    tile begins in this segment of a video, in chips. `chain` is the PEM certificate chain;
    `is_stamped` says whether a time-stamp authority is to be asked.
    """

    version: str
    chain: str
    key_id: str
    mark_id: Annotated[int, Field(ge=0, lt=1 << 32)]
    tile: Annotated[str, Field(pattern=r"^[0-9a-f]{1024}$")]
    shift: tuple[Chip, Chip]
    strength: Annotated[int, Field(ge=1, le=2)]
    consent_receipts: tuple[str, ...] = ()
    verify_url: str = ""
    allow_training: bool = False
    is_stamped: bool = False
