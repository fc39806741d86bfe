"""Long videos in segments: cut at key frames, independent, deterministic, joined without a seam."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from tests.worker.video.material.filtered import FAST, CornerFilter, filter_video, planned
from tests.worker.video.material.samples import (
    LIMITS,
    SOLO,
    frames_of,
    mean_error,
    packets_of,
    rgb,
    times_of,
)
from tests.worker.video.material.written import Sound, SourceVideo, write
from worker.video.encoder import EncoderSettings
from worker.video.plan import VideoPlan
from worker.video.records import PlanRecord
from worker.video.segments import OutputSettings, join_segments, swap_segment
from worker.video.surveys.survey import Survey
from worker.video.video import Video

GAPS = [
    512,
    512,
    700,
    512,
    300,
    2048,
    512,
]  # a variable rate, so that decoding times at the seams are not simple


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = frames_of(SOLO, count=120, size=(320, 180))
    pts = [sum(GAPS[i % 7] for i in range(index)) for index in range(120)]
    options = {"preset": "veryfast", "g": "15", "crf": "12", "bf": "3"}
    path = tmp_path_factory.mktemp("video") / "in.mp4"
    source_video = SourceVideo(
        frames, pts, Fraction(1, 15_360), options=options, sounds=[Sound(seconds=5.6)]
    )

    return write(path, source_video)


def cut_plan(source: Path) -> VideoPlan:
    return planned(source, segment_s=1.0, whole_below_s=2.0)


def swap(
    source: Path, plan: VideoPlan, index: int, path: Path, settings: OutputSettings
) -> CornerFilter:
    swapper = CornerFilter()
    with Video.open(source, LIMITS) as video:
        swap_segment(video, plan.segments[index], path, swapper, settings, lambda _: None)

    return swapper


def test_segments_start_at_key_frames_and_hold_every_frame_once(source: Path) -> None:
    plan = cut_plan(source)
    assert len(plan.segments) >= 4
    assert plan.frames == 120
    keys = {frame.pts for frame in frames_of(source) if frame.key_frame}
    assert {segment.start for segment in plan.segments} <= keys
    assert all(a.stop == b.start for a, b in zip(plan.segments, plan.segments[1:], strict=False))
    record = PlanRecord(plan=plan, survey=Survey().to_record())
    assert PlanRecord.model_validate_json(record.model_dump_json()).plan == plan


def test_a_short_video_stays_one_segment(source: Path) -> None:
    assert len(planned(source).segments) == 1


@pytest.mark.parametrize("encoder", [EncoderSettings(), FAST], ids=["B-frames", "none"])
def test_segments_made_in_any_order_give_the_same_video(
    source: Path, tmp_path: Path, encoder: EncoderSettings
) -> None:
    settings = OutputSettings(encoder=encoder)
    plan = cut_plan(source)
    videos = []

    for name, order in (("forward", 1), ("resumed", -1)):
        paths = [tmp_path / f"{name}{segment.index}.nut" for segment in plan.segments]
        for segment in plan.segments[::order]:
            swap(source, plan, segment.index, paths[segment.index], settings)

        videos.append(tmp_path / f"{name}.mp4")
        with Video.open(source, LIMITS) as video:
            join_segments(video, plan, paths, videos[-1], settings, lambda _: None)

    assert videos[0].read_bytes() == videos[1].read_bytes()
    assert times_of(videos[0]) == times_of(source)
    assert packets_of(videos[0], "audio") == packets_of(source, "audio")

    for index in (0, 59, 119):
        assert mean_error(rgb(videos[0], index), rgb(source, index)) < 3


def test_the_tracker_is_warmed_up_on_frames_that_are_not_output(
    source: Path, tmp_path: Path
) -> None:
    plan = cut_plan(source)
    swapper = swap(source, plan, 2, tmp_path / "2.nut", OutputSettings(encoder=FAST))
    start = plan.segments[2].start / 15_360
    assert swapper.warm
    assert max(swapper.warm) < start
    assert min(swapper.warm) >= start - 0.5
    assert swapper.times[0] == start
    assert len(swapper.times) == plan.segments[2].frames


@pytest.mark.parametrize("name", ["in.mkv", "in.ts", "in.avi", "in.flv", "in.mov"])
def test_segments_of_every_container_hold_every_frame(tmp_path: Path, name: str) -> None:
    frames = frames_of(SOLO, count=90, size=(320, 180))
    base = Fraction(1, 25)
    bf = "0" if name == "in.avi" else "2"  # AVI stores no showing times
    options = {"preset": "veryfast", "g": "13", "crf": "12", "bf": bf}
    source = write(
        tmp_path / name,
        SourceVideo(frames, range(90), base, options=options, sounds=[Sound(seconds=3.6)]),
    )
    plan = planned(source, segment_s=0.9, whole_below_s=1.0)
    assert len(plan.segments) >= 3
    filtered = filter_video(source, tmp_path / "out", plan=plan)
    before = times_of(source)
    after = times_of(filtered.path)
    assert [time - before[0] for time in before] == [time - after[0] for time in after]
    assert filtered.plan.frames == 90

    for index in (0, 44, 89):
        assert mean_error(rgb(filtered.path, index), rgb(source, index)) < 3
