"""The use cases of videos on the real engine and a real store: one go, segments, selection,
reports, analyses.
"""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.worker.video.conftest import VideoBench
from tests.worker.video.material.filtered import planned
from tests.worker.video.material.samples import DUET, SOLO, frames_of, packets_of, rgb, times_of
from tests.worker.video.material.written import Sound, SourceVideo, steady, write
from worker.video.surveys.survey_parts import survey_steps

BASE = Fraction(1, 30_000)


@pytest.fixture(scope="module")
def solo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = frames_of(SOLO, count=20, size=(640, 360))
    source_video = SourceVideo(
        frames, steady(20, Fraction(30), BASE), BASE, sounds=[Sound(seconds=0.6)]
    )
    return write(tmp_path_factory.mktemp("videos") / "solo.mp4", source_video)


@pytest.fixture(scope="module")
def duet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = frames_of(DUET, count=12, size=(640, 360))
    return write(
        tmp_path_factory.mktemp("videos") / "duet.mp4",
        SourceVideo(frames, steady(12, Fraction(30), BASE), BASE),
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from av.video.frame import VideoFrame

    frames = [
        VideoFrame.from_ndarray(np.full((180, 320, 3), 90 + i, np.uint8), "rgb24") for i in range(5)
    ]
    return write(
        tmp_path_factory.mktemp("videos") / "empty.mp4",
        SourceVideo(frames, steady(5, Fraction(30), BASE), BASE),
    )


def changed(filtered: Path, source: Path, index: int = 0) -> np.ndarray:
    """Where frame `index` was changed, as a mask of pixels that differ by more than encoding
    noise.
    """
    return np.asarray(np.abs(rgb(filtered, index) - rgb(source, index)).max(axis=2) > 14)


def test_a_short_video_is_swapped_in_one_go_with_a_report(bench: VideoBench, solo: Path) -> None:
    job = bench.work(bench.submit(solo))
    assert job.status == "succeeded", job.error
    assert times_of(bench.result(job)) == times_of(solo)
    assert packets_of(bench.result(job), "audio") == packets_of(solo, "audio")
    (person,) = job.report["faces"]
    assert person["identity_id"] == bench.identities["ada"]
    assert person["frames_swapped"] == person["frames_seen"] == 20
    assert person["identity_similarity"] > 0.2
    assert job.report["quality"] > 0.3
    assert job.report["segments"] == 1
    assert job.report["counters"]["encoder_passes"] == job.report["counters"]["iim_passes"] == 0
    assert {"decode_ms", "detect_ms", "swap_ms", "blend_ms", "encode_ms"} <= job.timings.keys()
    assert (job.result.width, job.result.height, job.result.frames) == (640, 360, 20)
    assert job.progress.done == job.progress.total == 20
    mask = changed(bench.result(job), solo, 10)
    assert 0.005 < mask.mean() < 0.15


@pytest.mark.parametrize(("face", "side"), [((("index", 0),), "left"), ((("index", 1),), "right")])
def test_an_index_counts_from_the_left(
    bench: VideoBench, duet: Path, face: object, side: str
) -> None:
    job = bench.work(bench.submit(duet, cast={face: "ada"}))
    assert job.status == "succeeded", job.error
    mask = changed(bench.result(job), duet, 6)
    left = mask[:, :320].mean()
    right = mask[:, 320:].mean()
    assert (left > 20 * right) if side == "left" else (right > 20 * left)


def test_two_people_get_two_identities(bench: VideoBench, duet: Path) -> None:
    job = bench.work(bench.submit(duet, cast={(("index", 0),): "ada", (("index", 1),): "ben"}))
    assert [row["identity_id"] for row in job.report["faces"]] == [
        bench.identities["ada"],
        bench.identities["ben"],
    ]
    assert all(row["frames_swapped"] == 12 for row in job.report["faces"])


def test_an_analysis_names_people_as_a_swap_does(bench: VideoBench, duet: Path) -> None:
    analysis = bench.work(bench.submit(duet, kind="analysis"))
    assert analysis.status == "succeeded", analysis.error
    found = json.loads(bench.result(analysis).read_text())
    assert [person["person_id"] for person in found["people"]] == ["p1", "p2"]

    for person in found["people"]:
        assert person["frames"] == 12
        assert len(person["boxes"]) == 12
        assert person["thumbnail"].startswith("data:image/jpeg;base64,")
        assert person["yaw_range_deg"][0] <= person["yaw_range_deg"][1]

    second = found["people"][1]
    job = bench.work(bench.submit(duet, cast={(("person_id", "p2"),): "ada"}))
    mask = changed(bench.result(job), duet, 0)
    _, x, y, width, height = second["boxes"][0]
    inside = mask[round(y) : round(y + height), round(x) : round(x + width)].sum()
    assert inside > 0.8 * mask.sum() > 0


def test_a_video_without_a_face_fails_by_name(bench: VideoBench, empty: Path) -> None:
    job = bench.work(bench.submit(empty))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "no_face"


def test_a_selection_that_nobody_matches_fails_by_name(bench: VideoBench, solo: Path) -> None:
    job = bench.work(bench.submit(solo, cast={(("person_id", "p9"),): "ada"}))
    assert job.error is not None
    assert job.error.code == "face_not_found"


def test_a_video_below_the_asked_quality_is_not_delivered(bench: VideoBench, solo: Path) -> None:
    job = bench.work(bench.submit(solo, blend=0.3, min_quality=0.99))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "low_quality_result"
    assert job.result is None


def test_a_video_in_which_every_chosen_face_was_left_alone_fails_and_says_why(
    bench: VideoBench, solo: Path
) -> None:
    job = bench.work(bench.submit(solo, min_face_px=1000))
    assert job.error is not None
    assert job.error.code == "nobody_swapped"
    assert "too_small" in job.error.detail
    (fate,) = job.report["assignments"]
    assert (fate["status"], fate["reason"]) == ("left_alone", "too_small")
    assert fate["frames_left_alone"] == {"too_small": 20}


def test_a_video_in_which_nobody_was_swapped_is_delivered_when_that_is_allowed(
    bench: VideoBench, solo: Path
) -> None:
    job = bench.work(bench.submit(solo, min_face_px=1000, allow_unswapped=True))
    assert job.status == "succeeded", job.error
    assert job.report["outcome"] == "partial"
    assert job.report["quality"] == 0.0


def test_output_options_are_followed(bench: VideoBench, solo: Path) -> None:
    job = bench.work(
        bench.submit(
            solo,
            output={"format": "mkv", "codec": "hevc", "crf": 30, "max_side": 320},
            audio="drop",
        )
    )

    assert job.status == "succeeded", job.error
    assert (job.result.media_type, job.result.width) == ("video/matroska", 320)
    assert packets_of(bench.result(job), "audio") == []
    assert {"audio_dropped_as_asked", "scaled_down"} <= set(job.report["notes"])


def test_a_codec_that_the_format_cannot_hold_is_refused(bench: VideoBench, solo: Path) -> None:
    job = bench.work(bench.submit(solo, output={"format": "webm", "codec": "h264"}))
    assert job.error is not None
    assert job.error.code == "unsupported_media_type"


@pytest.fixture(scope="module")
def long_duet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The duet with a change of sides half way: "largest" and "left" would mean someone else in
    each segment.
    """
    frames = frames_of(DUET, count=48, size=(480, 270))
    mirrored = [frame.to_ndarray(format="rgb24") for frame in frames]
    mirrored[24:] = [np.ascontiguousarray(image[:, ::-1]) for image in mirrored[24:]]
    from av.video.frame import VideoFrame

    images = [VideoFrame.from_ndarray(image, "rgb24") for image in mirrored]
    options = {"preset": "veryfast", "crf": "14", "g": "8", "sc_threshold": "0"}
    # A slide show's pace makes the video long enough to be cut without many frames.
    source_video = SourceVideo(
        images, [index * 10_000 for index in range(48)], BASE, options=options
    )

    return write(tmp_path_factory.mktemp("videos") / "long.mp4", source_video)


def test_a_long_video_is_swapped_in_parts_that_agree_about_people(
    bench: VideoBench, long_duet: Path
) -> None:
    plan = planned(long_duet)
    assert len(plan.segments) > 2
    job = bench.work(bench.submit(long_duet, cast={(("index", 0),): "ada"}))
    assert job.status == "succeeded", job.error
    assert job.report["segments"] == len(plan.segments)
    assert (job.progress.done, job.progress.total) == (48, 48)
    assert times_of(bench.result(job)) == times_of(long_duet)
    swapped = [row for row in job.report["faces"] if row["frames_swapped"]]
    assert len(swapped) == 1
    assert swapped[0]["frames_swapped"] >= 46

    for index, side in ((3, "left"), (44, "right")):
        mask = changed(bench.result(job), long_duet, index)
        left = mask[:, :240].mean()
        right = mask[:, 240:].mean()
        assert (left > 5 * right) if side == "left" else (right > 5 * left)


def test_a_resumed_video_equals_an_unbroken_one(bench: VideoBench, long_duet: Path) -> None:
    whole = bench.work(bench.submit(long_duet))
    broken = bench.submit(long_duet)
    looks = len(survey_steps(planned(long_duet)))
    bench.work(broken, most=1 + looks + 1 + 1)  # plan, survey, who becomes whom, the first part
    task = bench.next_task()
    assert task is not None
    assert task.step == "s0001"
    bench.stores.attempts.begin(task, "a worker that dies")
    bench.stores.attempts.redeliver(task)
    resumed = bench.work(broken)
    assert resumed.status == "succeeded", resumed.error
    assert bench.result(resumed).read_bytes() == bench.result(whole).read_bytes()
