"""Headers are read by walks that end, whatever the file holds."""

from __future__ import annotations

import io
from itertools import cycle

import pytest

from service.intake.image_headers import HeaderError, read_image_header


class EndlessFile(io.BytesIO):
    """A file that starts with `head` and then repeats `block` for ever."""

    def __init__(self, head: bytes, block: bytes) -> None:
        super().__init__(head)
        self._rest = cycle(block)

    def read(self, size: int | None = -1) -> bytes:
        wanted = size or 0
        start = super().read(wanted)
        return start + bytes(next(self._rest) for _ in range(wanted - len(start)))


@pytest.mark.parametrize(
    "block", [b"\xff", b"\xff\xd0", b"\xff\xe0\0\2"], ids=["fill bytes", "marks", "segments"]
)
def test_a_jpeg_without_an_end_is_given_up(block: bytes) -> None:
    with pytest.raises(HeaderError, match="too many blocks"):
        read_image_header(EndlessFile(b"\xff\xd8", block), "image/jpeg", 1)
