"""Identifiers are UUIDs of version 7, written so that their text sorts as their time does."""

from __future__ import annotations

import uuid

import pytest

from worker.stores.ids import ALPHABET, is_id, new_id


def as_uuid(identifier: str) -> uuid.UUID:
    value = 0
    for digit in identifier.partition("_")[2]:
        value = value * 32 + ALPHABET.index(digit)
    return uuid.UUID(int=value)


def test_an_id_is_a_uuid_of_version_7_with_the_time_it_was_given() -> None:
    made = as_uuid(new_id("job", 1_764_158_400.123))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == 1_764_158_400_123


def test_ids_sort_by_time_and_never_repeat() -> None:
    in_order = [new_id("upl", second / 1000) for second in range(500)]
    assert in_order == sorted(in_order)
    assert len({new_id("job", 1.0) for _ in range(2000)}) == 2000


@pytest.mark.parametrize(
    "text", ["", "job_", "job_" + "0" * 25, "JOB_" + "0" * 26, "job_" + "u" * 26, "../" + "0" * 26]
)
def test_nothing_else_has_the_shape_of_an_id(text: str) -> None:
    assert not is_id(text, "job")


def test_an_id_of_another_kind_is_none_of_this_kind() -> None:
    assert is_id(new_id("idn"), "idn")
    assert not is_id(new_id("idn"), "job")
