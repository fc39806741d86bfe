"""Eyes looked at in every second frame, held to what looking at every frame says."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.finding.eyes.eye_looks import EyeLooks, EyeSight
from models.inference.finding.eyes.iris_network import EyePair, IrisNetwork
from models.inference.frames.frame import Frame
from models.inference.frames.image_frame import ImageFrame
from tests.models.demo_media import SOLO, frames_of, portrait
from tests.models.living_eyes import with_lids

FPS = 30


@dataclass(frozen=True)
class Counted(IrisNetwork):
    """The pack's own network, counting how often it looks."""

    looks: list[float] = field(default_factory=list)

    def look(self, frame: Frame, landmarks: np.ndarray) -> EyePair:
        self.looks.append(0.0)
        return super().look(frame, landmarks)


@pytest.fixture(scope="module")
def iris(engine: FaceSwapEngine) -> Counted:
    assert engine.iris is not None
    return Counted(engine.iris.network)


@pytest.fixture(scope="module")
def sights(engine: FaceSwapEngine) -> list[EyeSight]:
    """A second of calm eyes, the solo video's."""
    tracker = engine.tracker()
    found = []
    for index, frame in enumerate(frames_of(SOLO, 30)):
        (tracked,) = tracker.update(frame, index / FPS)
        found.append(EyeSight(tracked.face.landmarks, index / FPS, frame))

    return found


@pytest.fixture(scope="module")
def blink(engine: FaceSwapEngine, iris: Counted) -> list[EyeSight]:
    """A portrait that shuts its eyes for as long as people do, at every phase of the looks."""
    photo = portrait("dev_neutral")
    mesh = engine.detect(photo)[0].landmarks
    eyes = iris.look(ImageFrame(photo), mesh)
    lids = {share: ImageFrame(with_lids(photo, eyes, share)) for share in (1.0, 0.5, 0.0)}
    shares = [1.0] * 4 + [0.5, 0.0, 0.5] + [1.0] * 5 + [0.5, 0.0, 0.5] + [1.0] * 4
    return [EyeSight(mesh, index / FPS, lids[share]) for index, share in enumerate(shares)]


def seen(iris: IrisNetwork, sights: list[EyeSight]) -> list[EyePair]:
    looks = EyeLooks()
    following = [*sights[1:], None]
    return [looks.see(iris, *pair) for pair in zip(sights, following, strict=True)]


def test_calm_eyes_are_looked_at_in_every_second_frame_at_most(
    iris: Counted, sights: list[EyeSight]
) -> None:
    always = [iris.look(sight.frame, sight.landmarks) for sight in sights]
    iris.looks.clear()

    now_and_then = seen(iris, sights)

    assert len(iris.looks) <= len(sights) // 2 + 1
    assert farthest(always, now_and_then) < 0.015


def test_eyes_that_stay_as_they_are_are_looked_at_in_every_third_frame(
    iris: Counted, blink: list[EyeSight]
) -> None:
    still = [EyeSight(blink[0].landmarks, index / FPS, blink[0].frame) for index in range(11)]
    iris.looks.clear()

    pairs = seen(iris, still)

    # The first two in a row: whether eyes are calm is what they say.
    assert len(iris.looks) <= 5
    assert farthest([pairs[0]] * 11, pairs) < 1e-3


def test_no_frame_of_a_blink_is_passed_over(iris: Counted, blink: list[EyeSight]) -> None:
    always = [iris.look(sight.frame, sight.landmarks) for sight in blink]
    iris.looks.clear()

    now_and_then = seen(iris, blink)

    openings = [eye.opening for pair in always for eye in pair]
    assert max(openings) - min(openings) > 0.05
    assert farthest(always, now_and_then) < 0.015
    assert len(iris.looks) <= len(blink)


@pytest.mark.parametrize("shut", [5, 8])
def test_eyes_that_are_shut_in_one_frame_alone_are_seen(
    iris: Counted, blink: list[EyeSight], shut: int
) -> None:
    still = [EyeSight(blink[0].landmarks, index / FPS, blink[0].frame) for index in range(12)]
    still[shut] = EyeSight(blink[5].landmarks, shut / FPS, blink[5].frame)
    always = [iris.look(sight.frame, sight.landmarks) for sight in still]

    assert farthest(always, seen(iris, still)) < 0.015


def farthest(some: list[EyePair], others: list[EyePair]) -> float:
    """Return how far openings and gazes are apart at most, in widths of the eye."""
    return max(
        float(np.abs(np.append(one.gaze - other.gaze, one.opening - other.opening)).max())
        for pair, other_pair in zip(some, others, strict=True)
        for one, other in zip(pair, other_pair, strict=True)
    )


def test_without_the_next_frame_no_frame_of_a_blink_is_passed_over_either(
    iris: Counted, blink: list[EyeSight]
) -> None:
    always = [iris.look(sight.frame, sight.landmarks) for sight in blink]
    looks = EyeLooks()

    alone = [looks.see(iris, sight, None) for sight in blink]

    assert farthest(always, alone) < 0.015


def test_frames_far_apart_are_looked_at_each(iris: Counted, sights: list[EyeSight]) -> None:
    slow = [EyeSight(one.landmarks, index / 10, one.frame) for index, one in enumerate(sights[:8])]
    iris.looks.clear()

    seen(iris, slow)

    assert len(iris.looks) == 8
