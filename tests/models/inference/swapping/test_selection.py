from __future__ import annotations

import numpy as np
import pytest

from models.inference.arrays import Box, Embedding
from models.inference.options import FaceSelector
from models.inference.painting.face_painter import Identity
from models.inference.swapping.selection import Assignment, Candidate, Selection

WHO: dict[str, Embedding] = {
    "p1": np.array([1, 0, 0], np.float32),
    "p2": np.array([0, 1, 0], np.float32),
}


def someone(person_id: str, left: float, eye_px: float = 50) -> Candidate:
    box: Box = (left, 100, left + 100, 200)
    return Candidate(person_id, box, eye_px, lambda: WHO[person_id])


def chosen(selection: Selection, *in_view: Candidate) -> set[str]:
    return set(selection.choose(in_view)) & {candidate.person_id for candidate in in_view}


@pytest.fixture
def anyone(ada: Identity) -> Identity:
    return ada


def test_the_largest_is_chosen_once_and_stays_chosen(anyone: Identity) -> None:
    selection = Selection([Assignment(FaceSelector("largest"), anyone)])
    assert chosen(selection, someone("p1", 0, 50), someone("p2", 300, 60)) == {"p2"}
    assert chosen(selection, someone("p1", 0, 90), someone("p2", 300, 60)) == {"p2"}
    assert chosen(selection, someone("p1", 0, 90)) == set()


def test_an_index_counts_from_the_left_when_enough_people_are_there(anyone: Identity) -> None:
    selection = Selection([Assignment(FaceSelector("index", index=1), anyone)])
    assert chosen(selection, someone("p1", 300)) == set()
    assert chosen(selection, someone("p2", 0), someone("p1", 300)) == {"p1"}
    assert chosen(selection, someone("p1", 0), someone("p2", 300)) == {"p1"}


def test_a_box_means_the_person_in_it_at_first_sight(anyone: Identity) -> None:
    selection = Selection([Assignment(FaceSelector("box", box=(280, 80, 420, 220)), anyone)])
    assert chosen(selection, someone("p1", 0)) == set()
    assert chosen(selection, someone("p1", 0), someone("p2", 300)) == {"p2"}
    assert chosen(selection, someone("p2", 0), someone("p1", 300)) == {"p2"}


def test_a_reference_finds_the_person_who_is_like_it(anyone: Identity) -> None:
    selection = Selection([Assignment(FaceSelector("reference", reference=WHO["p2"]), anyone)])
    assert chosen(selection, someone("p1", 0), someone("p2", 300)) == {"p2"}


def test_nobody_is_chosen_when_nobody_is_like_the_reference(anyone: Identity) -> None:
    nobody_here = np.array([0, 0, 1], np.float32)
    selection = Selection([Assignment(FaceSelector("reference", reference=nobody_here), anyone)])
    assert chosen(selection, someone("p1", 0), someone("p2", 300)) == set()


def test_the_first_assignment_that_fits_a_person_wins(anyone: Identity, cleo: Identity) -> None:
    selection = Selection(
        [
            Assignment(FaceSelector("person", person_id="p2"), cleo),
            Assignment(FaceSelector("all"), anyone),
        ]
    )

    chosen = selection.choose([someone("p1", 0), someone("p2", 300)])
    assert {name: one.identity for name, one in chosen.items()} == {"p1": anyone, "p2": cleo}


def test_a_second_assignment_for_one_face_is_contested(anyone: Identity, cleo: Identity) -> None:
    selection = Selection(
        [
            Assignment(FaceSelector("index", index=0), anyone, number=0),
            Assignment(FaceSelector("person", person_id="p1"), cleo, number=1),
        ]
    )

    assert chosen(selection, someone("p1", 0), someone("p2", 300)) == {"p1"}
    assert selection.why_nobody(1) == "already_assigned"


def test_a_reference_that_is_not_surely_in_view_chooses_nobody_and_says_so(
    anyone: Identity,
) -> None:
    between = np.array([0, 0.5, 0.866], np.float32)
    selection = Selection([Assignment(FaceSelector("reference", reference=between), anyone)])
    assert chosen(selection, someone("p1", 0), someone("p2", 300)) == set()
    assert selection.why_nobody(0) == "not_sure"


def test_a_person_and_their_mirror_image_are_both_like_the_reference(anyone: Identity) -> None:
    twice = [
        Candidate(name, (left, 100, left + 100, 200), 50, lambda: WHO["p1"])
        for name, left in (("p1", 0), ("p2", 300))
    ]
    selection = Selection([Assignment(FaceSelector("reference", reference=WHO["p1"]), anyone)])
    assert chosen(selection, *twice) == {"p1", "p2"}


@pytest.mark.parametrize("kind", ["largest", "all"])
def test_a_drawing_is_only_swapped_when_it_is_named(anyone: Identity, kind: str) -> None:
    drawing = Candidate("p1", (0, 100, 100, 200), 80, lambda: WHO["p1"], human=0.5)
    unnamed = Selection([Assignment(FaceSelector(kind), anyone)])
    assert chosen(unnamed, drawing) == set()
    assert unnamed.why_nobody(0) == "not_a_face"
    named = Selection([Assignment(FaceSelector("index", index=0), anyone)])
    assert chosen(named, drawing) == {"p1"}
