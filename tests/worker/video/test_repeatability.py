"""The same frames give the same bytes, whatever the process did before, and in any order."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest

from tests.worker.video.files.test_damage import BASE
from tests.worker.video.material.filtered import CornerFilter, filter_video
from tests.worker.video.material.samples import LIMITS, SOLO, frames_of
from tests.worker.video.material.written import SourceVideo, steady, write
from worker.formats import Codec
from worker.video.encoder import EncoderSettings
from worker.video.plan import plan_video
from worker.video.segments import OutputSettings, swap_segment
from worker.video.video import Video

# What malloc fills memory with that is handed out or given back: a read of memory that nobody wrote
# shows as another hash. glibc's own; elsewhere the variable changes nothing.
FILLINGS = ("0", "85", "170")


def encode(codec: Codec, source: Path, output: Path) -> str:
    """Encode the source as a segment; the hash of its bytes."""
    settings = OutputSettings(encoder=EncoderSettings(codec=codec))
    with Video.open(source, LIMITS) as video:
        segment = plan_video(video).segments[0]
        swap_segment(video, segment, output, CornerFilter(), settings, lambda _: None)

    return sha256(output.read_bytes()).hexdigest()


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
@pytest.mark.parametrize("size", [(320, 180), (480, 270)])
def test_the_bytes_of_a_segment_do_not_depend_on_what_memory_held(
    tmp_path: Path, codec: Codec, size: tuple[int, int]
) -> None:
    frames = frames_of(SOLO, count=40, size=size)
    source = write(tmp_path / "in.mp4", SourceVideo(frames, steady(40, Fraction(30), BASE), BASE))
    hashes = set()

    for filling in FILLINGS:
        command = [sys.executable, "-m", __name__, codec, str(source), str(tmp_path / "out.nut")]
        environment = os.environ | {"MALLOC_PERTURB_": filling}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        hashes.add(done.stdout.strip())

    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.mov", "in.avi", "in.flv"])
def test_a_short_video_is_opened_and_probed_once(tmp_path: Path, name: str) -> None:
    frames = frames_of(SOLO, count=20, size=(320, 180))
    source = write(tmp_path / name, SourceVideo(frames, steady(20, Fraction(25), BASE), BASE))
    assert filter_video(source, tmp_path / "out").opens == 1


if __name__ == "__main__":
    print(encode(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))  # type: ignore[arg-type]
