"""Videos whose key frames are rare are cut all the same, and looked at in parts: nobody waits for
the end of one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from models.inference.finding.survey.gathering import gather
from tests.worker.video.conftest import VideoBench
from tests.worker.video.material.filtered import planned
from tests.worker.video.material.samples import LIMITS
from tests.worker.video.material.scenes import Image, Placed, scene, video_of
from tests.worker.video.material.written import SourceVideo, write
from worker.video.frames.frame_format import FrameFormat
from worker.video.frames.planes import FramePreparer
from worker.video.plan import LEAST_SHARE, VideoPlan
from worker.video.reader import Span, VideoReader
from worker.video.segments import span_of
from worker.video.surveys.samples import video_samples
from worker.video.surveys.survey_parts import SurveyPartRecord, span_of_step, survey_steps
from worker.video.video import Video


def moving(path: Path, seconds: int, fps: int = 5) -> Path:
    """Write a video of noise that moves, with one key frame and with B-frames."""
    noise = np.random.default_rng(7).integers(0, 255, (90, 160 + seconds * fps, 3), np.uint8)
    images = [np.ascontiguousarray(noise[:, i : i + 160]) for i in range(seconds * fps)]
    frames = [VideoFrame.from_ndarray(image, "rgb24") for image in images]
    options = {"preset": "ultrafast", "bf": "2", "g": "100000", "sc_threshold": "0"}

    return write(
        path, SourceVideo(frames, list(range(len(frames))), Fraction(1, fps), options=options)
    )


def read(source: Path, span: Span, scratch: Path) -> list[tuple[float, bytes]]:
    """Return times and bytes of the frames that a span shows."""
    with Video.open(source, LIMITS) as video:
        preparer = FramePreparer(video.info, FrameFormat.of(video.info, None), scratch)
        return [
            (frame.time_s, frame.image.to_ndarray().tobytes())
            for frame in VideoReader(video, preparer).frames(span)
            if frame.shown
        ]


def spans(source: Path, plan: VideoPlan) -> list[Span]:
    with Video.open(source, LIMITS) as video:
        return [span_of(segment, video.info) for segment in plan.segments]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "ts", "mov"])
def test_segments_between_key_frames_are_the_whole_video(suffix: str, tmp_path: Path) -> None:
    source = moving(tmp_path / f"in.{suffix}", seconds=40)
    plan = planned(source)
    assert len(plan.segments) >= 6
    assert plan.frames == 200

    whole = read(source, Span(), tmp_path)
    in_parts = [frame for span in spans(source, plan) for frame in read(source, span, tmp_path)]
    assert len(whole) == 200
    assert in_parts == whole


def lengths_in_an_hour(path: Path, images: Sequence[Image]) -> list[float]:
    """Return the seconds of the segments of a video of an hour with one key frame."""
    plan = planned(video_of(path, images, fps=0.2, key_every=100_000))
    starts = [segment.start / 30_000 for segment in plan.segments]
    return [end - start for start, end in pairwise(starts)]


def test_how_often_a_frame_is_decoded_is_bounded(tmp_path: Path) -> None:
    """An hour of noise, whose frames take as long to decode as to swap."""
    noise = np.random.default_rng(7).integers(0, 255, (8, 96, 128, 3), np.uint8)
    images = [noise[index % 8] for index in range(720)]
    lengths = lengths_in_an_hour(tmp_path / "in.mp4", images)
    decoded = sum(accumulate(lengths))
    assert decoded / sum(lengths) <= 1 / LEAST_SHARE + 3
    assert 60 <= max(lengths) <= 120


def test_a_segment_that_is_quickly_reached_is_short(tmp_path: Path) -> None:
    """An hour of even frames: its end is reached in a moment, so that nobody waits for long."""
    images = [np.full((36, 64, 3), index % 250, np.uint8) for index in range(720)]
    lengths = lengths_in_an_hour(tmp_path / "in.mp4", images)
    assert max(lengths) <= 10


def test_a_survey_in_parts_finds_the_people_of_a_survey_in_one(
    bench: VideoBench, tmp_path: Path
) -> None:
    places = [Placed(f"{name}_neutral", 60, 30, 300) for name in ("ben", "cleo", "dev", "ben")]
    places += [Placed("cleo_neutral", 300, 40, 280)]
    images = [scene(place) for place in places for _ in range(20)]
    source = video_of(tmp_path / "in.mp4", images, fps=2, key_every=1000)
    plan = planned(source)
    assert len(survey_steps(plan)) > 1

    with Video.open(source, LIMITS) as video:
        survey = bench.engine.survey()
        for sample in video_samples(video, tmp_path):
            survey.add(sample.frame, sample.time_s)

        parts = []
        for step in survey_steps(plan):
            partial = bench.engine.survey()
            for sample in video_samples(video, tmp_path, span_of_step(plan, step)):
                partial.add(sample.frame, sample.time_s)

            record = SurveyPartRecord.of(partial.part())
            parts.append(SurveyPartRecord.model_validate_json(record.model_dump_json()).part())

    whole = survey.result()
    gathered = gather(parts).surveyed
    assert [one.person_id for one in gathered.people] == ["p1", "p2", "p3"]
    for one, other in zip(whole.people, gathered.people, strict=True):
        assert float(one.embedding @ other.embedding) > 0.99
        # A part has a sample of its own at its beginning.
        assert other.share == pytest.approx(one.share, rel=0.15)


def test_a_long_video_is_swapped_and_analysed_without_a_key_frame(
    bench: VideoBench, tmp_path: Path
) -> None:
    ben = Placed("ben_neutral", 60, 30, 300)
    cleo = Placed("cleo_neutral", 300, 40, 280)
    images = [scene(ben)] * 30 + [scene(cleo)] * 20
    source = video_of(tmp_path / "in.mp4", images, fps=1, key_every=1000)
    done = bench.work(bench.submit(source))
    assert done.status == "succeeded", done.error
    assert done.report["segments"] > 4
    assert [(row["person_id"], row["frames_swapped"]) for row in done.report["faces"]] == [
        ("p1", 30),
        ("p2", 0),
    ]

    analysis = bench.work(bench.submit(source, kind="analysis"))
    people = json.loads(bench.result(analysis).read_text())["people"]
    assert [(one["person_id"], round(one["first_seen_s"])) for one in people] == [
        ("p1", 0),
        ("p2", 30),
    ]
    assert all(one["thumbnail"].startswith("data:image/jpeg;base64,") for one in people)


def test_another_tenant_waits_for_one_task_of_a_long_video(
    bench: VideoBench, tmp_path: Path
) -> None:
    """One worker: whatever a hostile video has in store, a short one comes next."""
    bench.stores.jobs.redis.sadd("rq:workers:video", "rq:worker:bench")
    hostile = bench.submit(moving(tmp_path / "long.mp4", seconds=120), kind="analysis")
    short = video_of(tmp_path / "short.mp4", [scene()] * 3, fps=3)
    begun = [_do_next(bench) for _ in range(2)]
    other = bench.submit(short, kind="analysis", tenant="other")  # while the third is with RQ
    begun += [_do_next(bench) for _ in range(2)]
    assert begun == [hostile.id] * 3 + [other.id]


def _do_next(bench: VideoBench) -> str:
    task = bench.next_task()
    assert task is not None
    bench.runner.run_task(task.id, task.attempt)
    return task.job_id
