"""Row five of the video contract (docs/video.md) for images that move: GIF, WebP and APNG in and
out, AVIF in.
"""

from __future__ import annotations

import struct
import time
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.worker.video.conftest import VideoBench
from tests.worker.video.material.samples import SOLO, frames_of
from tests.worker.video.material.written import Sound, SourceVideo, steady, write
from worker.formats import AnimationFormat
from worker.media.animation import (
    AnimatedFrame,
    paced,
    probe_animation,
    read_animation,
    whole_durations,
    write_animation,
)
from worker.media.images import to_pillow
from worker.media.media_errors import MediaTooLarge
from worker.settings import MediaLimits

FORMATS: list[AnimationFormat] = ["gif", "webp", "apng"]
DURATIONS = [40.0, 100.0, 70.0, 40.0, 250.0]


def frames(count: int = 5, alpha: bool = False) -> list[AnimatedFrame]:
    images = [
        frame.to_ndarray(format="bgr24")
        for frame in frames_of(SOLO, count=6 * count, size=(320, 180))
    ][::6]
    veil = np.full((180, 320), 255, np.uint8)
    veil[:40] = 0
    starts = np.cumsum([0.0, *DURATIONS[:-1]]) / 1e3

    return [
        AnimatedFrame(image, veil if alpha else None, start, duration)
        for image, start, duration in zip(images, starts, DURATIONS, strict=True)
    ]


def read(path: Path) -> list[AnimatedFrame]:
    return list(read_animation(path, MediaLimits()))


@pytest.mark.parametrize("file_format", FORMATS)
def test_frames_durations_and_loop_come_back(tmp_path: Path, file_format: AnimationFormat) -> None:
    path = tmp_path / f"a.{file_format}"
    write_animation(path, file_format, frames(), loop=3, quality=90)
    info = probe_animation(path, MediaLimits())
    assert info is not None
    assert (info.format, info.width, info.height, info.loop) == (file_format, 320, 180, 3)
    again = read(path)
    assert [frame.duration_ms for frame in again] == DURATIONS
    assert [frame.time_s for frame in again] == pytest.approx([frame.time_s for frame in frames()])

    for before, after in zip(frames(), again, strict=True):
        assert np.abs(before.bgr.astype(int) - after.bgr).mean() < 8


@pytest.mark.parametrize("file_format", ["webp", "apng", "gif"])
def test_transparent_pixels_stay_transparent(tmp_path: Path, file_format: AnimationFormat) -> None:
    path = tmp_path / f"a.{file_format}"
    write_animation(path, file_format, frames(alpha=True))

    for frame in read(path):
        assert frame.alpha is not None
        assert frame.alpha[:38].max() == 0
        assert frame.alpha[42:].min() == 255


def test_gif_durations_do_not_drift() -> None:
    durations = whole_durations([1000 / 30] * 90, 10)
    assert set(durations) == {30, 40}
    assert abs(sum(durations) - 3000) <= 5


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("rate", [24, 30, 50, 60, 90, 120, 240])
def test_animations_play_at_their_speed_in_browsers(
    file_format: AnimationFormat, rate: int
) -> None:
    blank = np.zeros((2, 2, 3), np.uint8)
    source = [AnimatedFrame(blank, None, i / rate, 1000 / rate) for i in range(rate)]
    shown = paced(source, file_format)
    unit_ms = 10 if file_format == "gif" else 1
    durations = whole_durations([frame.duration_ms for frame in shown], unit_ms)
    assert min(durations) >= 20  # a frame of 10 ms or less is shown for 100
    assert abs(sum(durations) - 1000) <= 20
    assert len(shown) >= min(rate, 30)
    assert [frame.time_s for frame in shown] == sorted(frame.time_s for frame in shown)


def test_an_image_is_not_an_animation() -> None:
    assert probe_animation(SOLO.parent / "ada_neutral.jpg", MediaLimits()) is None


def apng_bomb(count: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(16 * 49))
    control = struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 30, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"acTL", struct.pack(">II", count, 0)),
        (b"fcTL", control),
        (b"IDAT", data),
    ]

    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks) + chunk(b"IEND", b"")


def test_a_million_frames_are_refused_at_once(tmp_path: Path) -> None:
    gif = tmp_path / "bomb.gif"
    tiny = [Image.new("P", (8, 8), index % 2) for index in range(2)]
    tiny[0].save(gif, save_all=True, append_images=tiny[1:], duration=20)
    body = gif.read_bytes()
    frame = body[body.rindex(b"\x21\xf9") : -1]
    gif.write_bytes(body[:-1] + frame * 100_000 + b";")
    png = tmp_path / "bomb.png"
    png.write_bytes(apng_bomb(1_000_000))

    for path in (gif, png):
        started = time.monotonic()
        with pytest.raises(MediaTooLarge):
            read(path)

        assert time.monotonic() - started < 2


@pytest.mark.parametrize("file_format", FORMATS)
def test_an_animation_is_swapped_in_its_own_format(
    bench: VideoBench, tmp_path: Path, file_format: AnimationFormat
) -> None:
    path = tmp_path / f"a.{file_format}"
    write_animation(path, file_format, frames(), loop=0, quality=90)
    job = bench.work(bench.submit(path))
    assert job.status == "succeeded", job.error
    assert job.result is not None
    assert (job.result.media_type, job.result.frames) == (f"image/{file_format}", 5)
    before = read(path)
    after = read(bench.result(job))
    assert [frame.duration_ms for frame in after] == DURATIONS
    difference = np.abs(before[2].bgr.astype(int) - after[2].bgr).max(axis=2)
    assert 0.005 < (difference > 20).mean() < 0.2
    assert job.report["faces"][0]["frames_swapped"] == 5


def test_an_animated_avif_is_swapped_in_every_frame_as_webp(
    bench: VideoBench, tmp_path: Path
) -> None:
    path = tmp_path / "a.avif"
    images = [to_pillow(frame.bgr, None) for frame in frames()]
    durations = [round(one) for one in DURATIONS]
    images[0].save(path, "AVIF", save_all=True, append_images=images[1:], duration=durations)
    assert [frame.duration_ms for frame in read(path)] == DURATIONS

    job = bench.work(bench.submit(path))
    assert job.status == "succeeded", job.error
    assert job.result is not None
    assert (job.result.media_type, job.result.frames) == ("image/webp", 5)
    assert [frame.duration_ms for frame in read(bench.result(job))] == DURATIONS
    assert job.report["faces"][0]["frames_swapped"] == 5


@pytest.mark.parametrize("file_format", ["gif", "webp"])
def test_a_video_becomes_an_animation_when_asked(
    bench: VideoBench, tmp_path: Path, file_format: str
) -> None:
    base = Fraction(1, 15_360)
    source_video = SourceVideo(
        frames_of(SOLO, count=12, size=(320, 180)),
        steady(12, Fraction(30), base),
        base,
        sounds=[Sound()],
    )

    job = bench.work(
        bench.submit(
            write(tmp_path / "in.mp4", source_video),
            output={"format": file_format, "max_side": 160},
        )
    )
    assert job.status == "succeeded", job.error
    assert job.result is not None
    assert (job.result.media_type, job.result.width, job.result.frames) == (
        f"image/{file_format}",
        160,
        12,
    )

    assert "audio_left_out" in job.report["notes"]
    assert sum(frame.duration_ms for frame in read(bench.result(job))) == pytest.approx(400, abs=10)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize(
    ("wanted", "media_type"),
    [("mp4", "video/mp4"), ("webm", "video/webm"), ("mov", "video/quicktime")],
)
def test_an_animation_becomes_a_video_that_lasts_as_long(
    bench: VideoBench, tmp_path: Path, source: AnimationFormat, wanted: str, media_type: str
) -> None:
    path = tmp_path / f"a.{source}"
    write_animation(path, source, frames(alpha=source != "gif"), loop=0, quality=90)
    job = bench.work(bench.submit(path, output={"format": wanted, "max_side": 161}))
    assert job.status == "succeeded", job.error
    assert job.result is not None
    assert (job.result.media_type, job.result.frames) == (media_type, 5)
    assert job.result.width % 2 == job.result.height % 2 == 0
    assert ("alpha_dropped" in job.report["notes"]) == (source != "gif")

    with av.open(str(bench.result(job))) as written:
        shown = list(written.decode(video=0))
        times = [float(frame.pts * frame.time_base) for frame in shown]
        assert float(written.duration) / av.time_base == pytest.approx(0.5, abs=0.02)

    starts = [frame.time_s for frame in frames()]
    assert times == pytest.approx(starts, abs=0.002)
    assert job.report["faces"][0]["frames_swapped"] == 5
    first = shown[0].to_ndarray(format="bgr24")
    # What was transparent is white, as on a page.
    assert (first[:10].min() > 240) == (source != "gif")


def test_an_image_sent_as_a_video_is_refused_with_the_reason(bench: VideoBench) -> None:
    job = bench.work(bench.submit(SOLO.parent / "ada_neutral.jpg"))
    assert job.error is not None
    assert job.error.code == "unsupported_media_type"
    assert "single image" in job.error.detail
