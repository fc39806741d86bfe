"""Apparent age: our adult composites are adults; the verdict follows the policy."""

from __future__ import annotations

import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.safety.age import ApparentAge
from models.inference.safety.checks import SafetyChecks
from models.packs.store import Pack
from tests.models.demo_media import portrait


@pytest.mark.parametrize(
    ("years", "under_18", "verdict"),
    [
        (16.0, 0.6, "minor"),
        (22.0, 0.31, "minor"),
        (22.0, 0.1, "unsure"),
        (25.0, 0.0, "adult"),
    ],
)
def test_the_verdict_follows_the_policy(years: float, under_18: float, verdict: str) -> None:
    assert ApparentAge(years, under_18).verdict == verdict


def test_registrations_of_the_demo_people_show_adults(open_pack: Pack) -> None:
    engine = FaceSwapEngine.load(open_pack, device="cpu", nudity_check=True, age_check=True)
    for person in ("ada", "ben", "cleo", "dev"):
        registration = engine.register([portrait(f"{person}_neutral")])
        assert registration.age is not None
        assert registration.age.verdict == "adult", person
        assert max(registration.nudity) < 0.2


def test_checks_that_are_off_say_nothing(open_pack: Pack) -> None:
    engine = FaceSwapEngine.load(open_pack, device="cpu")
    assert engine.safety == SafetyChecks(nudity=None, age=None)
