from __future__ import annotations

import pytest

from models.inference.finding.visibility import FADE_S, GAP_S, Fade


def test_a_face_that_was_hidden_or_shown_fades_to_the_other() -> None:
    fade = Fade()
    assert fade.step(0.0, shown=False) == 0.0
    assert fade.step(FADE_S / 2, shown=True) == pytest.approx(0.5)
    assert fade.step(FADE_S, shown=True) == pytest.approx(1.0)
    assert fade.step(FADE_S * 1.25, shown=False) == pytest.approx(0.75)


def test_a_face_that_nobody_saw_before_is_swapped_at_once() -> None:
    fade = Fade()
    assert fade.step(3.0, shown=True) == 1.0
    fade.reset()
    assert fade.step(3.1, shown=False) == 0.0


def test_a_short_gap_is_bridged_and_after_a_long_one_a_face_is_new() -> None:
    fade = Fade()
    fade.step(0.0, shown=False)
    assert fade.step(GAP_S * 0.9, shown=True) == 1.0
    assert fade.step(GAP_S * 3, shown=False) == 0.0
    assert fade.step(GAP_S * 3 + FADE_S / 4, shown=True) == pytest.approx(0.25)


def test_times_that_stand_still_change_nothing() -> None:
    fade = Fade()
    fade.step(1.0, shown=True)
    assert fade.step(1.0, shown=False) == 1.0
