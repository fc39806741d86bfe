"""Fingerprints: the same image after re-encoding, never another one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.material import SAMPLES
from worker.provenance.fingerprint import fingerprint, fingerprints
from worker.provenance.resemblance import HASHES_MAX, nearest, resembles, thinned


def grey(name: str) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    image = cv2.imread(str(SAMPLES / f"{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    assert image is not None
    return np.asarray(image, np.uint8)  # type: ignore[return-value]


def test_a_smaller_and_compressed_copy_resembles_its_original() -> None:
    image = grey("ada_neutral")
    small = cv2.resize(image, (300, 300), interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    copy = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
    assert resembles([fingerprint(copy)], [fingerprint(image)])


@pytest.mark.parametrize("name", ["ada_neutral", "ben_smile", "cleo_neutral"])
@pytest.mark.parametrize(("top", "left"), [(0, 0), (0, 1), (1, 0), (0.5, 0.5), (1, 1)])
def test_a_crop_resembles_its_original_wherever_it_was_cut(
    name: str, top: float, left: float
) -> None:
    image = grey(name)
    cut = image.shape[0] // 10
    down = round(cut * top)
    right = round(cut * left)
    part = image[down : down + image.shape[0] - cut, right : right + image.shape[1] - cut]
    recorded = [fingerprint(image)]
    assert resembles(nearest([fingerprints(np.ascontiguousarray(part))], recorded), recorded)


def test_noise_and_mirrors_do_not_resemble() -> None:
    image = grey("ada_neutral")
    noise = np.random.default_rng(3).integers(0, 256, image.shape, np.uint8)
    assert not resembles([fingerprint(noise)], [fingerprint(image)])
    assert not resembles([fingerprint(np.ascontiguousarray(image[::-1]))], [fingerprint(image)])


def test_a_cut_of_a_video_resembles_the_whole() -> None:
    draw = np.random.default_rng(5)
    moments = [int(word) for word in draw.integers(0, 1 << 63, 100)]
    assert resembles(moments[40:50], moments)
    assert not resembles([int(word) for word in draw.integers(0, 1 << 63, 10)], moments)
    assert not resembles([], moments)


def test_hashes_of_long_videos_are_bounded() -> None:
    assert len(thinned(range(5000))) <= HASHES_MAX
    assert thinned(range(100)) == tuple(range(100))
