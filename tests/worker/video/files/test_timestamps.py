"""Row one of the video contract (docs/video.md): every frame keeps its time, at any rate, and the
sound stays with it.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.worker.video.material.filtered import filter_video, probed
from tests.worker.video.material.samples import SOLO, frames_of, packets_of, times_of
from tests.worker.video.material.written import Sound, SourceVideo, steady, write
from worker.video.encoder import EncoderSettings

SIZE = (320, 180)
RATES = {
    "29.97": (Fraction(30_000, 1001), Fraction(1, 30_000)),
    "23.976": (Fraction(24_000, 1001), Fraction(1, 24_000)),
    "60": (Fraction(60), Fraction(1, 15_360)),
    "25 in milliseconds": (Fraction(25), Fraction(1, 1000)),
    "29.97 at 90 kHz": (Fraction(30_000, 1001), Fraction(1, 90_000)),
}


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "encoder", [EncoderSettings(), EncoderSettings(preset="ultrafast")], ids=["B-frames", "none"]
)
def test_every_frame_keeps_its_time_at_steady_rates(
    tmp_path: Path, rate: str, encoder: EncoderSettings
) -> None:
    frames_per_s, time_base = RATES[rate]
    frames = frames_of(SOLO, count=30, size=SIZE)
    pts = steady(30, frames_per_s, time_base)
    source = write(
        tmp_path / "in.mp4",
        SourceVideo(frames, pts, time_base, sounds=[Sound(seconds=float(30 / frames_per_s))]),
    )
    filtered = filter_video(source, tmp_path / "out", encoder=encoder)
    assert times_of(filtered.path) == times_of(source)
    assert packets_of(filtered.path, "audio") == packets_of(source, "audio")
    end = times_of(filtered.path)[-1] - times_of(source)[-1]
    assert abs(end) <= 1 / frames_per_s  # drift between sound and image, whose packets are the same


def test_the_time_base_is_kept(tmp_path: Path) -> None:
    base = Fraction(1, 90_000)
    source_video = SourceVideo(
        frames_of(SOLO, count=4, size=SIZE), steady(4, Fraction(30), base), base
    )
    filtered = filter_video(write(tmp_path / "in.mp4", source_video), tmp_path / "out")
    assert probed(filtered.path).time_base == base


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_variable_frame_rate_stays_as_variable(tmp_path: Path, container: str) -> None:
    gaps = [1, 1, 4, 1, 2, 9, 1, 1, 1, 30, 1, 2, 3, 1, 1, 1, 8, 1, 1, 5] * 2
    pts = [sum(gaps[:index]) * 40 for index in range(len(gaps))]
    frames = frames_of(SOLO, count=len(pts), size=SIZE)
    source = write(tmp_path / f"in.{container}", SourceVideo(frames, pts, Fraction(1, 1000)))
    filtered = filter_video(source, tmp_path / "out", encoder=EncoderSettings(), format=container)
    assert times_of(filtered.path) == times_of(source) == [Fraction(value, 1000) for value in pts]
    assert filtered.swapper.times == [float(time) for time in times_of(source)]


def test_a_first_timestamp_that_is_not_zero_is_kept_in_mp4(tmp_path: Path) -> None:
    base = Fraction(1, 30_000)
    pts = [value + 16_683 for value in steady(20, Fraction(30_000, 1001), base)]
    exact = {"movie_timescale": "30000"}
    source_video = SourceVideo(
        frames_of(SOLO, count=20, size=SIZE), pts, base, sounds=[Sound()], container_options=exact
    )
    source = write(tmp_path / "in.mp4", source_video)
    filtered = filter_video(source, tmp_path / "out", encoder=EncoderSettings())
    assert times_of(filtered.path) == times_of(source)
    assert times_of(filtered.path)[0] == Fraction(16_683, 30_000)
    assert packets_of(filtered.path, "audio") == packets_of(source, "audio")


def test_a_broadcast_clock_is_moved_to_zero_with_its_sound(tmp_path: Path) -> None:
    base = Fraction(1, 90_000)
    pts = [value + 90_000 * 100 for value in steady(20, Fraction(25), base)]
    sound = Sound(seconds=0.8, start_s=100.0)
    source = write(
        tmp_path / "in.ts",
        SourceVideo(frames_of(SOLO, count=20, size=SIZE), pts, base, sounds=[sound]),
    )
    filtered = filter_video(source, tmp_path / "out", encoder=EncoderSettings())
    assert "timestamps_moved_to_start_at_0" in filtered.notes
    before = times_of(source)
    after = times_of(filtered.path)
    moved = before[0] - after[0]
    assert float(before[0]) > 90
    assert 0 <= float(after[0]) < 0.1
    assert [time - moved for time in before] == after
    heard = packets_of(source, "audio")[0][0][0] or 0.0
    assert abs((packets_of(filtered.path, "audio")[0][0][0] or 0.0) - (heard - float(moved))) < 1e-3


def test_webm_says_that_it_rounds_to_milliseconds(tmp_path: Path) -> None:
    base = Fraction(1, 15_360)
    source = write(
        tmp_path / "in.mp4",
        SourceVideo(frames_of(SOLO, count=6, size=SIZE), steady(6, Fraction(30), base), base),
    )
    filtered = filter_video(
        source, tmp_path / "out", encoder=EncoderSettings(codec="vp9"), format="webm"
    )
    assert "timestamps_rounded_to_1_ms_by_webm" in filtered.notes

    for before, after in zip(times_of(source), times_of(filtered.path), strict=True):
        assert abs(before - after) <= Fraction(1, 1000)
