"""Valid media with a few bytes changed, cut or doubled: what fuzzers and bad disks make of a
file.
"""

from __future__ import annotations

import io
import random
from fractions import Fraction

import av
import numpy as np
from PIL import Image

KINDS = (
    ("JPEG", "image/jpeg"),
    ("PNG", "image/png"),
    ("WEBP", "image/webp"),
    ("GIF", "image/gif"),
    ("TIFF", "image/tiff"),
)


def images() -> dict[str, bytes]:
    """Return a small noisy image in each format, by media type."""
    noise = np.random.default_rng(6).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    made = {}

    for file_format, media_type in KINDS:
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, file_format)
        made[media_type] = buffer.getvalue()

    return made


def video() -> bytes:
    """Return an MP4 of ten small frames."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width = 64
        stream.height = 48
        stream.pix_fmt = "yuv420p"

        for number in range(10):
            image = np.full((48, 64, 3), number * 20, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))

        container.mux(stream.encode())

    return buffer.getvalue()


def mutate(content: bytes, dice: random.Random) -> bytes:
    """Return a copy of `content` with one to eight changes.

    Its first bytes mostly stay, so that it is looked into.
    """
    changed = bytearray(content)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(12 if dice.random() < 0.9 else 0, max(13, len(changed)))
        match dice.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([dice.randrange(256)])
            case 1:
                changed[at : at + 4] = dice.choice(
                    (b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff")
                )
            case 2:
                del changed[at : at + dice.randrange(1, 64)]
            case 3:
                changed[at:at] = changed[at : at + dice.randrange(1, 256)]
            case 4:
                del changed[max(at, 24) :]

    return bytes(changed)
