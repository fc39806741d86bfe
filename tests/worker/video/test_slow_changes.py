"""Faces that change or come little by little: who is swapped, and from when on.

Second cases of the kinds in test_people.py, with the same thresholds.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.worker.video.conftest import VideoBench
from tests.worker.video.material.scenes import Image, Placed, changes, dissolve, scene
from tests.worker.video.test_people import MIDDLE, SWAPPED, UNTOUCHED, swap

FIRST = {(("index", 0),): "ada"}


def like_ben(bench: VideoBench) -> dict[object, str]:
    """Return a cast that chooses whoever is like ben."""
    return {(("reference", bench.identities["ben"]),): "ada"}


def test_somebody_into_whom_the_chosen_person_dissolves_over_four_seconds_is_left_alone(
    bench: VideoBench, tmp_path: Path
) -> None:
    other = scene(Placed("dev_neutral", 200, 30, 300))
    images = [scene(MIDDLE)] * 5 + dissolve(scene(MIDDLE), other, 40) + [other] * 15
    _, before, after = swap(bench, tmp_path, images, fps=10, cast=FIRST)
    moved = changes(before, after, MIDDLE)
    assert min(moved[:5]) > SWAPPED
    assert max(moved[45:]) < UNTOUCHED


def test_the_chosen_person_who_dissolves_away_and_back_is_swapped_again(
    bench: VideoBench, tmp_path: Path
) -> None:
    here = scene(MIDDLE)
    other = scene(Placed("cleo_neutral", 200, 30, 300))
    away = [here] * 6 + dissolve(here, other, 12) + [other] * 10
    images = [*away, *dissolve(other, here, 12), *[here] * 10]
    _, before, after = swap(bench, tmp_path, images, fps=15, cast=like_ben(bench))
    moved = changes(before, after, MIDDLE)
    assert min(moved[:6]) > SWAPPED
    assert max(moved[18:28]) < UNTOUCHED
    assert min(moved[42:]) > SWAPPED


def test_somebody_who_is_wiped_over_the_chosen_person_is_left_alone(
    bench: VideoBench, tmp_path: Path
) -> None:
    here = scene(MIDDLE)
    other = scene(Placed("dev_neutral", 200, 30, 300))
    edges = np.linspace(0, 640, 14).astype(int)
    wiped = [np.concatenate((other[:, :edge], here[:, edge:]), axis=1) for edge in edges]
    images = [here] * 8 + wiped + [other] * 12
    _, before, after = swap(bench, tmp_path, images, fps=15, cast=FIRST)
    moved = changes(before, after, MIDDLE)
    assert min(moved[:8]) > SWAPPED
    assert max(moved[23:]) < UNTOUCHED


def test_a_dissolve_while_the_face_moves_is_noticed(bench: VideoBench, tmp_path: Path) -> None:
    places = [Placed("ben_neutral", 20 + 6 * step, 40, 260) for step in range(40)]
    others = [Placed("dev_neutral", place.x, place.y, place.side) for place in places]
    shares = np.clip((np.arange(40) - 8) / 14, 0, 1)
    images: list[Image] = [
        np.asarray(cv2.addWeighted(scene(one), 1 - share, scene(other), share, 0), np.uint8)
        for one, other, share in zip(places, others, shares, strict=True)
    ]
    _, before, after = swap(bench, tmp_path, images, fps=15, cast=FIRST)
    moved = [
        changes([old], [new], place)[0]
        for old, new, place in zip(before, after, places, strict=True)
    ]
    assert min(moved[:8]) > SWAPPED
    assert max(moved[24:]) < UNTOUCHED


@pytest.mark.parametrize("far", [60, 100])
def test_a_reference_who_is_first_seen_small_is_found(
    bench: VideoBench, tmp_path: Path, far: int
) -> None:
    small = scene(Placed("ben_neutral", 300, 150, far))
    between = Placed("dev_neutral", 200, 30, 300)
    images = [small] * 8 + [scene(between, backdrop=(40, 60, 90))] * 8 + [scene(MIDDLE)] * 8
    _, before, after = swap(bench, tmp_path, images, fps=10, cast=like_ben(bench))
    moved = changes(before, after, MIDDLE)
    assert max(moved[8:16]) < UNTOUCHED
    assert min(moved[16:]) > SWAPPED


def test_a_reference_who_is_first_out_of_focus_is_found(bench: VideoBench, tmp_path: Path) -> None:
    sharp = scene(MIDDLE)
    images: list[Image] = [
        np.asarray(cv2.GaussianBlur(sharp, (0, 0), sigma), np.uint8)
        for sigma in np.linspace(9, 0.3, 14)
    ]
    _, before, after = swap(bench, tmp_path, [*images, *[sharp] * 10], 10, like_ben(bench))
    assert min(changes(before, after, MIDDLE)[14:]) > SWAPPED


def test_somebody_who_is_in_view_for_a_sixth_of_a_second_is_swapped(
    bench: VideoBench, tmp_path: Path
) -> None:
    images = [scene()] * 17 + [scene(MIDDLE)] * 5 + [scene()] * 18
    _, before, after = swap(bench, tmp_path, images, fps=30, cast={"all": "ada"})
    # At most 100 ms of an original face.
    assert sum(moved < SWAPPED for moved in changes(before, after, MIDDLE)[17:22]) <= 3


def test_a_person_between_two_cuts_of_a_second_each_is_swapped_in_every_frame(
    bench: VideoBench, tmp_path: Path
) -> None:
    dev = scene(Placed("dev_neutral", 20, 60, 240))
    ben = Placed("ben_neutral", 380, 60, 240)
    cleo = scene(Placed("cleo_neutral", 200, 60, 240), backdrop=(40, 60, 90))
    images = [dev] * 3 + [scene(ben)] * 3 + [cleo] * 3 + [scene(ben)] * 3
    _, before, after = swap(bench, tmp_path, images, fps=3, cast=like_ben(bench))
    moved = changes(before, after, ben)
    assert min(moved[3:6] + moved[9:]) > SWAPPED
    assert max(moved[:3] + moved[6:9]) < UNTOUCHED


def test_somebody_who_comes_nearer_is_swapped_from_twenty_pixels_between_the_eyes_on(
    bench: VideoBench, tmp_path: Path
) -> None:
    # A demo portrait's eyes are about a fifth of its side apart.
    sides = range(104, 300, 6)
    places = [Placed("ben_neutral", 320 - side // 2, 180 - side // 2, side) for side in sides]
    _, before, after = swap(bench, tmp_path, [scene(place) for place in places], fps=15)
    moved = [
        changes([old], [new], place)[0]
        for old, new, place in zip(before, after, places, strict=True)
    ]
    assert sum(one < UNTOUCHED for one in moved) == 0
