"""Who is swapped in an image, which way up, and what the report says about it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.worker.video.conftest import VideoBench
from tests.worker.video.material.scenes import Image, Placed, changes, scene
from worker.contract.jobs import JobRecord

PLACE = Placed("cleo_neutral", 120, 120, 480)


def submitted(bench: VideoBench, path: Path, image: Image, **options: object) -> JobRecord:
    cv2.imwrite(str(path / "scene.png"), image)
    return bench.work(bench.submit(path / "scene.png", kind="swap_image", **options))


def result(bench: VideoBench, job: JobRecord) -> Image:
    return np.asarray(cv2.imread(str(bench.result(job))), np.uint8)


def rotated(image: Image, degrees: float) -> Image:
    """Return the image turned about its middle, counter-clockwise."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return np.asarray(
        cv2.warpAffine(
            image, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        ),
        np.uint8,
    )


@pytest.mark.parametrize("degrees", [75, 120, 180, 255])
def test_a_turned_face_is_swapped_as_the_upright_one_is(
    bench: VideoBench, tmp_path: Path, degrees: float
) -> None:
    upright = scene(PLACE, size=(720, 720))
    wanted = result(bench, submitted(bench, tmp_path, upright))
    job = submitted(bench, tmp_path, rotated(upright, degrees))
    assert job.status == "succeeded", job.error
    back = rotated(result(bench, job), -degrees)
    assert changes([wanted], [back], PLACE)[0] < 8
    assert changes([upright], [back], PLACE)[0] > 4


def test_an_image_has_quality_and_similarity_and_boxes_as_the_api_has_them(
    bench: VideoBench, tmp_path: Path
) -> None:
    job = submitted(bench, tmp_path, scene(PLACE, size=(720, 720)))
    (face,) = job.report["faces"]
    left, top, width, height = face["box"]
    assert 120 < left < left + width < 600
    assert 120 < top < top + height < 600
    assert face["identity_similarity"] > 0.3
    assert 0 < job.report["quality"] <= 1
    assert job.report["outcome"] == "succeeded"
    assert job.report["assignments"][0]["person_ids"] == ["p1"]


def test_an_image_below_the_asked_quality_is_not_delivered(
    bench: VideoBench, tmp_path: Path
) -> None:
    image = scene(PLACE, size=(720, 720))
    job = submitted(bench, tmp_path, image, blend=0.2, min_quality=0.99)
    assert job.error is not None
    assert job.error.code == "low_quality_result"


def test_an_image_in_which_nobody_was_swapped_fails_and_says_why(
    bench: VideoBench, tmp_path: Path
) -> None:
    half = scene(PLACE, size=(720, 720))[:, 360:].copy()
    job = submitted(bench, tmp_path, half)
    assert job.error is not None
    assert job.error.code == "nobody_swapped"
    assert job.report["assignments"][0]["status"] == "left_alone"
    allowed = submitted(bench, tmp_path, half, allow_unswapped=True)
    assert allowed.status == "succeeded", allowed.error
    assert np.array_equal(result(bench, allowed), half)


def test_a_person_and_their_mirror_image_are_both_swapped(
    bench: VideoBench, tmp_path: Path
) -> None:
    person = Placed("ben_neutral", 10, 30, 300)
    mirror = Placed("ben_neutral", 330, 30, 300, True)
    image = scene(person, mirror)
    reference = (("reference", bench.identities["ben"]),)
    job = submitted(bench, tmp_path, image, cast={reference: "ada"})
    after = result(bench, job)
    assert min(changes([image], [after], place)[0] for place in (person, mirror)) > 4


@pytest.mark.parametrize("who", ["largest", "all"])
def test_a_drawn_face_is_not_swapped_unless_it_is_named(
    bench: VideoBench, tmp_path: Path, who: str
) -> None:
    job = submitted(bench, tmp_path, drawn_face(), cast={who: "ada"})
    assert job.status == "failed"
    named = submitted(bench, tmp_path, drawn_face(), cast={(("index", 0),): "ada"})
    found_nobody = named.error is not None and named.error.code == "no_face"
    assert named.status == "succeeded" or found_nobody


def drawn_face() -> Image:
    """Return a face of flat colours and lines."""
    image = np.full((480, 480, 3), 215, np.uint8)
    cv2.ellipse(image, (240, 230), (120, 155), 0, 0, 360, (150, 190, 235), -1)
    cv2.ellipse(image, (240, 130), (125, 75), 0, 180, 360, (30, 50, 80), -1)

    for x in (195, 285):
        cv2.ellipse(image, (x, 215), (24, 13), 0, 0, 360, (255, 255, 255), -1)
        cv2.circle(image, (x, 215), 10, (80, 50, 20), -1)
        cv2.line(image, (x - 26, 188), (x + 26, 186), (30, 50, 80), 6)

    cv2.line(image, (240, 220), (230, 270), (110, 150, 200), 4)
    cv2.line(image, (230, 270), (250, 272), (110, 150, 200), 4)
    cv2.ellipse(image, (240, 310), (42, 16), 0, 0, 180, (60, 60, 190), -1)

    return image
