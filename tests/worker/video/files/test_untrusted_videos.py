"""Files that lie: they open nothing else, and are held to the limits before a frame is decoded."""

from __future__ import annotations

import resource
import struct
import time
from pathlib import Path

import av
import numpy as np
import pytest

from tests.worker.video.files.test_damage import source_file
from tests.worker.video.material.filtered import filter_video, probed
from tests.worker.video.material.samples import SOLO
from worker.media.media_errors import MediaError, MediaTooLarge, UnsupportedMedia
from worker.settings import MediaLimits
from worker.video.video import Video


def test_playlists_scripts_and_images_of_text_open_nothing_else(tmp_path: Path) -> None:
    canary = source_file(tmp_path / "canary.mp4", count=3)
    hostile = {
        "m3u8": (
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{canary}\n#EXT-X-ENDLIST\n".encode()
        ),
        "ffconcat": f"ffconcat version 1.0\nfile '{canary}'\n".encode(),
        "mpd": b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "text": b"just words" * 100,
        "empty": b"",
        "jpeg": (SOLO.parent / "ada_neutral.jpg").read_bytes(),
    }

    for name, data in hostile.items():
        path = tmp_path / f"{name}.mp4"
        path.write_bytes(data)

        with pytest.raises(UnsupportedMedia):
            probed(path)


def test_a_reference_to_another_file_inside_an_mp4_is_not_followed(tmp_path: Path) -> None:
    source = source_file(tmp_path / "in.mov", count=12)
    data = source.read_bytes()
    # flag 1 of `url ` says that the media is in this file; without it FFmpeg would look for the
    # named one
    source.write_bytes(data.replace(b"url \x00\x00\x00\x01", b"url \x00\x00\x00\x00"))

    try:
        frames = filter_video(source, tmp_path / "out").outcomes[0].frames
    except MediaError:
        return

    assert frames <= 12


def test_limits_are_checked_before_frames_are_decoded(tmp_path: Path) -> None:
    source = source_file(tmp_path / "in.mp4", count=30)
    for limits in (
        MediaLimits(video_side_px=100),
        MediaLimits(video_frames=10),
        MediaLimits(video_duration_s=0.5),
    ):
        with pytest.raises(MediaTooLarge) as caught:
            Video.open(source, limits)
        assert caught.value.code == "media_too_large"


def claiming(path: Path, frames: int) -> Path:
    """Return the file with an index that says it has this many frames of one byte each."""
    data = bytearray(path.read_bytes())
    struct.pack_into(">II", data, data.index(b"stsz") + 8, 1, frames)
    struct.pack_into(">III", data, data.index(b"stts") + 8, 1, frames, 512)
    struct.pack_into(">IIII", data, data.index(b"stsc") + 8, 1, 1, frames, 1)
    path.write_bytes(data)

    return path


@pytest.mark.parametrize("frames", [5_000_000, 10_000_000, 4_000_000_000])
def test_a_small_file_that_claims_millions_of_frames_is_refused_at_once(
    tmp_path: Path, frames: int
) -> None:
    path = claiming(source_file(tmp_path / "in.mp4", count=12), frames)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()

    with pytest.raises(MediaTooLarge):
        probed(path)

    assert time.monotonic() - started < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


def test_a_sound_file_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        for start in range(0, 48_000, 1024):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate = 48_000
            frame.pts = start
            container.mux(stream.encode(frame))

        container.mux(stream.encode(None))

    with pytest.raises(UnsupportedMedia):
        probed(path)
