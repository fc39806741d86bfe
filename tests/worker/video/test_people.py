"""Who is swapped in a video, frame by frame, and what the report says about it.

A frame of a face counts as swapped from `SWAPPED` levels of mean change on, and as left alone below
`UNTOUCHED`: encoding alone changes small, sharp faces by up to 2.5 levels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.worker.video.conftest import VideoBench
from tests.worker.video.material.scenes import (
    Image,
    Placed,
    changes,
    dissolve,
    images_of,
    scene,
    video_of,
)
from worker.contract.jobs import JobRecord

SWAPPED = 4.0
UNTOUCHED = 3.0
MIDDLE = Placed("ben_neutral", 200, 30, 300)


def swap(
    bench: VideoBench,
    path: Path,
    images: list[Image],
    fps: float,
    cast: dict[object, str] | None = None,
    **options: object,
) -> tuple[JobRecord, list[Image], list[Image]]:
    """Swap a scene; returns the job, and the frames before and after."""
    source = video_of(path / "scene.mp4", images, fps)
    job = bench.work(bench.submit(source, cast=cast, **options))
    assert job.status == "succeeded", job.error

    return job, images_of(source), images_of(bench.result(job))


def test_people_who_are_only_seen_between_key_frames_are_told_apart(
    bench: VideoBench, tmp_path: Path
) -> None:
    """Three people, each in a segment of their own, none of them on a key frame."""
    empty = scene()
    people = [Placed(f"{name}_neutral", 200, 30, 300) for name in ("ben", "cleo", "dev")]
    shots = [empty] * 3 + [scene(people[0])] * 6 + [empty] * 6 + [scene(people[1])] * 3
    shots += [empty] * 6 + [scene(people[2])] * 3 + [empty] * 3
    source = video_of(tmp_path / "scene.mp4", shots, fps=1.5, key_every=10)

    job = bench.work(bench.submit(source))
    assert job.status == "succeeded", job.error
    assert job.report["segments"] == 3
    assert [row["person_id"] for row in job.report["faces"]] == ["p1", "p2", "p3"]
    assert [row["frames_swapped"] for row in job.report["faces"]] == [6, 0, 0]
    after = images_of(bench.result(job))
    moved = changes(images_of(source), after, MIDDLE)
    assert min(moved[3:9]) > SWAPPED
    assert max(moved[9:]) < UNTOUCHED


def test_the_largest_is_the_one_who_is_largest_in_the_whole_video(
    bench: VideoBench, tmp_path: Path
) -> None:
    small = Placed("dev_neutral", 20, 200, 120)
    large = Placed("ben_neutral", 280, 20, 330)
    images = [scene(small)] * 8 + [scene(small, large)] * 12
    _, before, after = swap(bench, tmp_path, images, fps=15)
    assert max(changes(before, after, small)) < UNTOUCHED
    assert min(changes(before, after, large)[8:]) > SWAPPED


@pytest.mark.parametrize("who", ["dev_neutral", "cleo_smile"])
def test_somebody_into_whom_the_chosen_person_dissolves_is_left_alone(
    bench: VideoBench, tmp_path: Path, who: str
) -> None:
    first = scene(MIDDLE)
    second = scene(Placed(who, 200, 30, 300))
    images = [first] * 10 + dissolve(first, second, 14) + [second] * 12
    job, before, after = swap(bench, tmp_path, images, fps=15, cast={(("index", 0),): "ada"})
    moved = changes(before, after, MIDDLE)
    assert min(moved[:10]) > SWAPPED
    assert max(moved[24:]) < UNTOUCHED
    assert job.report["assignments"][0]["person_ids"][0] == "p1"


def test_somebody_who_looks_alike_is_not_taken_for_the_chosen_person_after_a_cut(
    bench: VideoBench, tmp_path: Path
) -> None:
    """The two composites agree by .47: more than one person in two lights may."""
    first = Placed("bank_0021", 40, 40, 288)
    second = Placed("bank_0150", 320, 40, 288)
    images = [scene(first)] * 8 + [scene(second, backdrop=(40, 60, 90))] * 8
    _, before, after = swap(bench, tmp_path, images, fps=15, cast={(("index", 0),): "ada"})
    assert min(changes(before, after, first)[:8]) > SWAPPED
    assert max(changes(before, after, second)[8:]) < UNTOUCHED


def test_the_chosen_person_is_swapped_again_after_a_cut(bench: VideoBench, tmp_path: Path) -> None:
    first = Placed("ben_neutral", 20, 40, 300)
    again = Placed("ben_smile", 330, 60, 260)
    between = Placed("dev_neutral", 200, 30, 300)
    images = [scene(first)] * 6 + [scene(between, backdrop=(40, 60, 90))] * 6 + [scene(again)] * 6
    _, before, after = swap(bench, tmp_path, images, fps=15, cast={(("index", 0),): "ada"})
    assert min(changes(before, after, first)[:6]) > SWAPPED
    assert max(changes(before, after, between)[6:12]) < UNTOUCHED
    assert min(changes(before, after, again)[12:]) > SWAPPED


@pytest.mark.parametrize(("fps", "side"), [(5, 240), (30, 240), (30, 90)])
def test_somebody_who_appears_is_swapped_from_their_first_frame(
    bench: VideoBench, tmp_path: Path, fps: float, side: int
) -> None:
    place = Placed("ben_neutral", 300, 100, side)
    images = [scene()] * 13 + [scene(place)] * 30
    _, before, after = swap(bench, tmp_path, images, fps=fps)
    assert min(changes(before, after, place)[13:]) > SWAPPED


def test_a_face_that_fades_in_is_swapped_as_soon_as_it_can_be_seen(
    bench: VideoBench, tmp_path: Path
) -> None:
    lit = scene(MIDDLE)
    images = dissolve(np.zeros_like(lit), lit, 20) + [lit] * 8
    reference = (("reference", bench.identities["ben"]),)
    _, before, after = swap(bench, tmp_path, images, fps=15, cast={reference: "ada"})
    moved = changes(before, after, MIDDLE)
    assert min(moved[20:]) > SWAPPED
    # In the dark a swap changes fewer levels: compare with how bright the frame is.
    assert min(moved[index] / (index / 19) for index in range(3, 20)) > SWAPPED / 2


def test_people_are_chosen_and_swapped_at_full_size_before_scaling(
    bench: VideoBench, tmp_path: Path
) -> None:
    people = Placed("ben_neutral", 40, 60, 500), Placed("cleo_neutral", 900, 300, 90)
    images = [scene(*people, size=(1280, 720))] * 8
    cast = {(("person_id", "p2"),): "ada"}
    full, before, after = swap(bench, tmp_path, images, fps=12, cast=cast)
    assert min(changes(before, after, people[1])) > SWAPPED
    small, _, _ = swap(bench, tmp_path, images, fps=12, cast=cast, output={"max_side": 320})
    assert small.result.width == 320
    assert [row["frames_swapped"] for row in small.report["faces"]] == [
        row["frames_swapped"] for row in full.report["faces"]
    ]


def test_a_person_and_their_mirror_image_are_both_swapped(
    bench: VideoBench, tmp_path: Path
) -> None:
    person = Placed("ben_neutral", 10, 30, 300)
    mirror = Placed("ben_neutral", 330, 30, 300, True)
    reference = (("reference", bench.identities["ben"]),)
    images = [scene(person, mirror)] * 8
    job, before, after = swap(bench, tmp_path, images, fps=15, cast={reference: "ada"})
    assert min(changes(before, after, person)) > SWAPPED
    assert min(changes(before, after, mirror)) > SWAPPED
    assert job.report["assignments"][0]["status"] == "swapped"


@pytest.mark.parametrize("turned", [1, 2, 3])
def test_a_turned_video_is_swapped_the_way_its_faces_stand(
    bench: VideoBench, tmp_path: Path, turned: int
) -> None:
    place = Placed("cleo_neutral", 170, 20, 320, turned=turned)
    job, before, after = swap(bench, tmp_path, [scene(place)] * 8, fps=15)
    assert min(changes(before, after, place)) > SWAPPED
    upright, _, _ = swap(bench, tmp_path, [scene(Placed("cleo_neutral", 170, 20, 320))] * 8, 15)
    alike = [one.report["faces"][0]["identity_similarity"] for one in (job, upright)]
    assert alike[0] > alike[1] - 0.15


def test_each_assignment_is_told_what_became_of_it(bench: VideoBench, tmp_path: Path) -> None:
    people = Placed("ben_neutral", 10, 30, 300), Placed("dev_neutral", 330, 30, 300)
    cast = {
        (("index", 0),): "ada",
        (("person_id", "p1"),): "ben",
        (("person_id", "p7"),): "ben",
    }

    job, _, _ = swap(bench, tmp_path, [scene(*people)] * 6, fps=15, cast=cast)
    assert job.report["outcome"] == "partial"
    assert [(one["status"], one["reason"]) for one in job.report["assignments"]] == [
        ("swapped", None),
        ("left_alone", "already_assigned"),
        ("not_found", "nobody_matches"),
    ]


def test_a_face_that_is_turned_away_for_a_while_makes_its_assignment_partly_swapped(
    bench: VideoBench, tmp_path: Path
) -> None:
    tiny = Placed("ben_neutral", 250, 100, 60)
    images = [scene(MIDDLE)] * 6 + [scene(tiny)] * 6
    job, _, _ = swap(bench, tmp_path, images, fps=15, min_face_px=40)
    (fate,) = job.report["assignments"]
    assert fate["status"] == "partly"
    assert fate["reason"] == "too_small"
    assert fate["frames_left_alone"]["too_small"] >= 5  # the first of six may still fade out


def test_an_analysis_names_the_people_of_a_long_video_as_a_swap_does(
    bench: VideoBench, tmp_path: Path
) -> None:
    people = [Placed(f"{name}_neutral", 200, 30, 300) for name in ("ben", "cleo")]
    images = [scene(people[0])] * 10 + [scene(people[1])] * 10
    source = video_of(tmp_path / "scene.mp4", images, fps=1.5, key_every=10)
    found = json.loads(bench.result(bench.work(bench.submit(source, kind="analysis"))).read_text())
    assert [one["person_id"] for one in found["people"]] == ["p1", "p2"]
    job = bench.work(bench.submit(source, cast={(("person_id", "p2"),): "ada"}))
    moved = changes(images_of(source), images_of(bench.result(job)), MIDDLE)
    assert max(moved[:10]) < UNTOUCHED < SWAPPED < min(moved[10:])
