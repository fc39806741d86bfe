from __future__ import annotations

import pytest

from models.inference.finding.visibility import FADE_S, GAP_S, Fade


def test_a_fade_takes_its_time_in_both_directions() -> None:
    fade = Fade()
    assert fade.step(0.0, shown=True) == 0.0
    assert fade.step(FADE_S / 2, shown=True) == pytest.approx(0.5)
    assert fade.step(FADE_S, shown=True) == pytest.approx(1.0)
    assert fade.step(FADE_S * 1.25, shown=False) == pytest.approx(0.75)


def test_after_a_cut_a_face_is_there_at_once() -> None:
    fade = Fade()
    fade.jump(3.0, shown=True)
    assert fade.step(3.0, shown=True) == 1.0


def test_a_short_gap_is_bridged_and_a_long_one_is_not() -> None:
    fade = Fade()
    fade.jump(0.0, shown=True)
    assert fade.step(GAP_S * 0.9, shown=True) == 1.0
    assert fade.step(GAP_S * 3, shown=True) == 0.0


def test_times_that_stand_still_change_nothing() -> None:
    fade = Fade()
    fade.jump(1.0, shown=True)
    assert fade.step(1.0, shown=False) == 1.0
