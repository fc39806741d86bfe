"""Targets are refused before a frame is swapped, by what stand-ins for the networks say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.frames.image_frame import ImageFrame
from models.inference.safety.age import ApparentAge
from models.packs.store import load_pack
from tests.material import PACKS
from tests.models.demo_media import portrait
from worker.errors import JobFailure
from worker.use_cases.target_examiner import TargetExaminer


@dataclass
class Checks:
    """Answers as `SafetyChecks` would, with given figures: nobody keeps images to test with."""

    nudity: float = 0.0
    years: float = 30.0
    looks: list[int] = field(default_factory=list)

    def nudity_scores(self, frame: object, faces: Any) -> tuple[float, ...]:  # noqa: ANN401
        self.looks.append(len(faces))
        return (self.nudity,)

    def apparent_age(self, chips: Any) -> ApparentAge:  # noqa: ANN401
        return ApparentAge(self.years, 0.0)


@pytest.fixture(scope="module")
def engine() -> FaceSwapEngine:
    return FaceSwapEngine.load(load_pack("open", PACKS), device="cpu")


def examiner(engine: FaceSwapEngine, checks: Checks) -> TargetExaminer:
    engine.safety = checks  # type: ignore[assignment]
    return TargetExaminer(engine)


def look(subject: TargetExaminer, time_s: float = 0.0) -> None:
    image = portrait("ben_neutral")
    subject.look(ImageFrame(image), list(enumerate(subject.engine.detect(image))), time_s)


def test_a_certain_score_is_refused(engine: FaceSwapEngine) -> None:
    subject = examiner(engine, Checks(nudity=0.81))
    look(subject)
    with pytest.raises(JobFailure) as refusal:
        subject.require_allowed()
    assert refusal.value.code == "sexual_content"


def test_an_apparent_minor_is_refused(engine: FaceSwapEngine) -> None:
    subject = examiner(engine, Checks(years=16.0))
    look(subject)
    with pytest.raises(JobFailure) as refusal:
        subject.require_allowed()
    assert refusal.value.code == "apparent_minor"


def test_an_adult_passes_and_samples_are_two_seconds_apart(engine: FaceSwapEngine) -> None:
    checks = Checks()
    subject = examiner(engine, checks)

    for tenth in range(50):
        look(subject, tenth / 10)

    subject.require_allowed()
    assert len(checks.looks) == 3
