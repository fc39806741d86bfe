from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.inference.arrays import BgrImage
from models.inference.engine import FaceSwapEngine
from models.inference.errors import DeviceUnavailableError, FaceNotFoundError
from models.inference.frames.image_frame import ImageFrame
from models.inference.options import FaceSelector, SwapOptions
from models.inference.painting.face_painter import Identity
from models.inference.runtime import cuda_obstacle
from models.inference.swapping.selection import Assignment
from models.packs.store import Pack
from tests.models.demo_media import portrait
from tests.models.yardsticks import IndependentEncoder

EVERYBODY = FaceSelector("all")


@pytest.mark.shared
@pytest.mark.parametrize("target", ["ben_neutral", "dev_smile"])
def test_a_swapped_face_is_nearer_to_the_source_than_to_the_target(
    engine: FaceSwapEngine, ada: Identity, shared: Path, target: str
) -> None:
    judge = IndependentEncoder.load(shared)
    before = portrait(target)
    swapped = engine.swap_frame(before, [Assignment(EVERYBODY, ada)]).frame
    mesh = engine.detect(before)[0].landmarks
    source_photo = portrait("ada_neutral")
    source = judge.embed(ImageFrame(source_photo), engine.detect(source_photo)[0].landmarks)
    result = judge.embed(ImageFrame(swapped), mesh)
    old = judge.embed(ImageFrame(before), mesh)
    assert result @ source > result @ old


def test_pixels_outside_the_face_are_copied_bit_for_bit(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    before = portrait("ben_neutral")
    kept = before.copy()
    after = engine.swap_frame(before, [Assignment(EVERYBODY, ada)]).frame
    changed = np.argwhere((after != before).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    box = engine.detect(before)[0].box
    margin = 40
    assert left > box[0] - margin
    assert right < box[2] + margin
    assert top > box[1] - margin
    assert bottom < box[3] + margin
    assert np.array_equal(before, kept)


def test_a_warm_swap_runs_no_encoder_and_no_iim_and_loads_nothing(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    before = replace(engine.counters)
    engine.swap_frame(portrait("ben_neutral"), [Assignment(FaceSelector(), ada)])
    assert engine.counters == replace(before, swap_passes=before.swap_passes + 1)


def test_an_images_report_says_how_alike_the_result_is_when_asked(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    photo = portrait("ben_neutral")
    asked = engine.swap_frame(
        photo, [Assignment(EVERYBODY, ada)], SwapOptions(measure_similarity=True)
    ).faces[0]
    assert asked.identity_similarity is not None
    assert asked.identity_similarity > 0.3
    assert (
        engine.swap_frame(photo, [Assignment(EVERYBODY, ada)]).faces[0].identity_similarity is None
    )


def test_two_people_get_two_identities(
    engine: FaceSwapEngine, ada: Identity, cleo: Identity
) -> None:
    scene = np.hstack([portrait("ben_neutral"), portrait("dev_neutral")])
    left = FaceSelector("index", index=0)
    right = FaceSelector("index", index=1)
    outcome = engine.swap_frame(scene, [Assignment(left, cleo), Assignment(right, ada)])
    assert [(face.identity_key, face.reason) for face in outcome.faces] == [
        ("cleo", None),
        ("ada", None),
    ]


def test_one_selected_face_leaves_the_other_alone(engine: FaceSwapEngine, ada: Identity) -> None:
    scene = np.hstack([portrait("ben_neutral"), portrait("dev_neutral")])
    outcome = engine.swap_frame(scene, [Assignment(FaceSelector("index", index=1), ada)])
    assert [face.reason for face in outcome.faces] == ["not_selected", None]
    assert np.array_equal(outcome.frame[:, :800], scene[:, :800])


def test_a_reference_selects_the_person_it_was_registered_from(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    scene = np.hstack([portrait("ben_neutral"), portrait("dev_neutral")])
    dev = engine.register([portrait("dev_smile")]).code.embedding
    outcome = engine.swap_frame(scene, [Assignment(FaceSelector("reference", reference=dev), ada)])
    assert [face.swapped for face in outcome.faces] == [False, True]


@pytest.mark.parametrize(
    "selector", [FaceSelector("index", index=3), FaceSelector("person", person_id="p9")]
)
def test_a_selector_that_matches_nobody_is_an_error(
    engine: FaceSwapEngine, ada: Identity, selector: FaceSelector
) -> None:
    with pytest.raises(FaceNotFoundError):
        engine.swap_frame(portrait("ben_neutral"), [Assignment(selector, ada)])


def test_an_image_without_faces_is_an_error(engine: FaceSwapEngine, ada: Identity) -> None:
    with pytest.raises(FaceNotFoundError):
        engine.swap_frame(np.full((400, 400, 3), 90, np.uint8), [Assignment(EVERYBODY, ada)])


def test_a_face_below_the_smallest_size_is_left_alone_and_said_so(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    before = portrait("ben_neutral")
    outcome = engine.swap_frame(before, [Assignment(EVERYBODY, ada)], SwapOptions(min_face_px=400))
    assert outcome.faces[0].reason == "too_small"
    assert np.array_equal(outcome.frame, before)


def test_preserved_eyes_and_mouth_stay_the_targets(engine: FaceSwapEngine, ada: Identity) -> None:
    before = portrait("ben_smile")
    mesh = engine.detect(before)[0].landmarks
    pupil = mesh[[159, 145]].mean(axis=0)
    lips = mesh[[13, 14]].mean(axis=0)
    free = change_at(engine, ada, before, SwapOptions(), pupil)
    assert free > 2
    kept = SwapOptions(preserve=frozenset({"eyes", "mouth"}))
    assert change_at(engine, ada, before, kept, pupil) < free / 2
    assert change_at(engine, ada, before, kept, lips) < 2


def change_at(
    engine: FaceSwapEngine,
    identity: Identity,
    before: BgrImage,
    options: SwapOptions,
    point: np.ndarray,
) -> float:
    after = engine.swap_frame(before, [Assignment(EVERYBODY, identity)], options).frame
    x, y = (round(float(v)) for v in point)
    near = np.s_[y - 3 : y + 4, x - 3 : x + 4]

    return float(np.abs(after[near].astype(int) - before[near]).mean())


def test_blend_is_the_opacity_of_the_swap(engine: FaceSwapEngine, ada: Identity) -> None:
    before = portrait("ben_neutral")
    full, half, none = (
        engine.swap_frame(
            before, [Assignment(EVERYBODY, ada)], SwapOptions(blend=blend)
        ).frame.astype(int)
        for blend in (1.0, 0.5, 0.0)
    )

    assert np.array_equal(none, before)
    assert np.abs(half - (full + before) / 2).max() <= 3


def test_a_face_in_the_dark_gets_no_more_contrast_than_the_dark_allows(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    dark = (portrait("ben_neutral") * 0.35).astype(np.uint8)
    left, top, right, bottom = (int(edge) for edge in engine.detect(dark)[0].box)
    middle = np.s_[top + 60 : bottom - 60, left + 60 : right - 60]
    after = engine.swap_frame(dark, [Assignment(EVERYBODY, ada)]).frame
    assert float(after[middle].std()) < 1.5 * float(dark[middle].std())


def test_cuda_on_a_machine_without_it_is_a_coded_error(open_pack: Pack) -> None:
    if not cuda_obstacle():
        pytest.skip("this machine has CUDA")
    with pytest.raises(DeviceUnavailableError) as refusal:
        FaceSwapEngine.load(open_pack, device="cuda")
    assert refusal.value.code == "device_unavailable"


def test_only_so_many_identities_are_kept_ready(open_pack: Pack, ada: Identity) -> None:
    small = FaceSwapEngine.load(open_pack, device="cpu", max_sessions=2)
    weights = small.specialise(ada.code)
    for key in ("a", "b", "a", "c", "a", "b"):
        small.identity(key, ada.code, weights)
    assert small.counters.sessions_created == 4


def test_a_forgotten_identity_is_built_anew(engine: FaceSwapEngine, ada: Identity) -> None:
    weights = engine.specialise(ada.code)
    first = engine.identity("to be forgotten", ada.code, weights)
    assert engine.identity("to be forgotten", ada.code, weights) is first
    assert engine.ready("to be forgotten") is first
    engine.forget("to be forgotten")
    assert engine.ready("to be forgotten") is None
    assert engine.identity("to be forgotten", ada.code, weights) is not first
