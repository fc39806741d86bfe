"""Frames of motion JPEG with endless scans: each scan costs a pass over all pixels."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.packet import Packet
from PIL import Image

from tests.worker.video.material.samples import LIMITS
from worker.media.decoding_costs import MAX_SCANS
from worker.media.media_errors import DamagedMedia
from worker.video.examination import examine
from worker.video.plan import plan_video
from worker.video.video import Video

SIDE = 320


def jpeg(more_scans: int = 0) -> bytes:
    """Return a progressive JPEG whose last scan comes again so often."""
    with io.BytesIO() as buffer:
        image = Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB")
        image.save(buffer, "JPEG", progressive=True)
        data = buffer.getvalue()

    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * more_scans + b"\xff\xd9"


def video(path: Path, frames: Sequence[bytes]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuvj420p"

        for number, data in enumerate(frames):
            packet = Packet(data)
            packet.stream = stream
            packet.pts = packet.dts = number
            packet.time_base = Fraction(1, 10)
            packet.is_keyframe = True
            container.mux(packet)

    return path


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_a_first_frame_of_endless_scans_is_refused_when_the_video_is_opened(
    tmp_path: Path, suffix: str
) -> None:
    path = video(tmp_path / f"in.{suffix}", [jpeg(200), jpeg(), jpeg()])
    with pytest.raises(DamagedMedia, match="scans"):
        Video.open(path, LIMITS)


@pytest.mark.parametrize("suffix", ["avi", "mov", "mkv"])
def test_a_later_frame_of_endless_scans_is_refused_before_anything_is_swapped(
    tmp_path: Path, suffix: str
) -> None:
    path = video(tmp_path / f"in.{suffix}", [jpeg(), jpeg(), jpeg(200)])
    with Video.open(path, LIMITS) as opened, pytest.raises(DamagedMedia, match="scans"):
        plan_video(opened)


def test_ordinary_progressive_frames_are_read(tmp_path: Path) -> None:
    path = video(tmp_path / "in.avi", [jpeg(MAX_SCANS - 20)] * 3)
    with Video.open(path, LIMITS) as opened:
        assert plan_video(opened).frames == 3


@pytest.mark.parametrize("name", ["in.jpg", "in.avi"])
def test_verification_reads_no_endless_scans(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("jpg"):
        path.write_bytes(jpeg(200))
    else:
        video(path, [jpeg(200)])

    request = {"keys": ["00" * 32], "anchors": [], "signers": [], "public_sync": True}
    with path.open("rb") as file:
        assert examine(file, request)["mark_found"] is False
