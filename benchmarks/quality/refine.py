"""Bars of refined identities: a few people of the `eval` split, refined with the installed pack,
through its engine.

Four minutes a person on two free cores. The weights are kept below `var/training/refined`, so the
second bar is quick.
"""

from __future__ import annotations

import os
from functools import cache

import cv2

from benchmarks.bar import Figure, bar
from benchmarks.video.steadiness import flicker
from models.inference.options import FaceSelector, SwapOptions
from models.inference.swapping.selection import Assignment
from models.packs.store import load_pack
from models.refinement.refine import RefineConfig
from models.training.evaluation.evaluate_refined import RefinedPeople, Weights
from models.training.evaluation.tables import Figures
from tests.material import PACKS, ROOT

# Four minutes a person: three by default, more for a release.
PEOPLE = int(os.environ.get("LIKENESS_BAR_PEOPLE", "3"))
# Twenty targets a person say more than twenty persons on one.
TARGETS = 20


@bar("Q-10R")
def refined_sources_are_recognised_in_their_swaps() -> Figure:
    """Refined sources retrieved first among all evaluation people by the independent encoder, from
    another photo.
    """
    instant, refined = measured()
    for name, found in (("instant", instant), ("refined", refined)):
        print(
            f"{name}: retrieved {found.retrieved:.3f}, cosine to that photo"
            f" {found.cosine_source:.3f} (>= .55),",
            end=" ",
        )
        print(f"to the target {found.cosine_target:.3f} (<= .18)")

    holds = (
        refined.retrieved >= 0.98
        and refined.cosine_source >= 0.55
        and refined.cosine_target <= 0.18
    )
    return Figure(refined.retrieved, "retrieved first", ">= .98, cosines >= .55 and <= .18", holds)


@bar("Q-11R")
def refined_swaps_keep_pose_and_expression() -> Figure:
    """Mean distance of the mesh's points to the target's, and of the mouth's opening, over the eye
    distance.
    """
    instant, refined = measured()
    print(
        f"mouth opening error {refined.mouth:.4f} (<= .028); instant {instant.landmarks:.4f}, mouth"
        f" {instant.mouth:.4f}"
    )
    holds = refined.landmarks <= 0.033 and refined.mouth <= 0.028
    return Figure(refined.landmarks, "of the eye distance", "<= .033, mouth <= .028", holds)


@bar("Q-12R")
def refined_swaps_are_as_sharp_as_their_targets() -> Figure:
    """High-frequency energy inside the face relative to the target's, after pasting."""
    instant, refined = measured()
    print(f"instant {instant.sharpness:.3f}")
    return Figure(refined.sharpness, "x target", ".85 to 1.2", 0.85 <= refined.sharpness <= 1.2)


@bar("Q-13R")
def refined_swaps_leave_the_rest_alone_and_keep_the_light() -> Figure:
    """L1 outside the mesh's mask, and the shift of colour and of the low frequencies inside it."""
    _, refined = measured()
    print(
        f"shift of the mean colour {refined.colour:.4f}, of the light's low frequencies"
        f" {refined.light:.4f} (<= .04)"
    )
    holds = refined.outside <= 0.003 and max(refined.colour, refined.light) <= 0.04
    return Figure(refined.outside, "L1 outside the mask", "<= .003, shifts <= .04", holds)


@bar("Q-14R")
def refined_identities_do_not_flicker() -> Figure:
    """As Q-5, for the refined people on the solo video; the worst of them."""
    # The worst of them, since a mean would hide one that shimmers.
    people, refined = refined_people()

    def flicker_of(row: int) -> float:
        identity = people.engine.identity(f"refined:{row}", people.codes[row], refined[row])
        swap = [Assignment(FaceSelector("largest"), identity)]
        return flicker(lambda: people.engine.sequence(swap, SwapOptions()))[0]

    ratios = [flicker_of(row) for row in people.codes]
    print("each:", ", ".join(f"{ratio:.3f}" for ratio in ratios))
    return Figure(max(ratios), "x the input's", "<= 1.25", max(ratios) <= 1.25)


@cache
def measured() -> tuple[Figures, Figures]:
    """Return the figures of the same swaps with the weights of registration and with refined
    ones.
    """
    # Kept for the other bars of this run, and on disk for the next.
    people, refined = refined_people()
    print(f"{PEOPLE} people onto {TARGETS} others each")
    return people.figures(people.instant), people.figures(refined)


@cache
def refined_people() -> tuple[RefinedPeople, Weights]:
    """Return the people and their refined weights."""
    cv2.setNumThreads(1)
    people = RefinedPeople(load_pack("open", PACKS), ROOT / "var" / "training", PEOPLE, TARGETS)
    return people, people.refined(RefineConfig())
