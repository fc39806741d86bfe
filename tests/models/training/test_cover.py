"""The cover network's material: exact truths, the same batch for the same seed, and learning."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from models.inference.engine import FaceSwapEngine
from models.inference.frames.affine import compose, transform
from models.inference.painting.face_guide import face_hull
from models.networks.cover_net import KINDS, SIZE
from models.packs.store import Pack
from models.training.cover.canvas import Canvas
from models.training.cover.hair_labels import label_hair
from models.training.cover.hair_of_others import Head, given_hair
from models.training.cover.material import SIDE, TO_SIDE, Faces
from models.training.cover.occluders import Hands
from models.training.cover.samples import SampleMaker
from models.training.cover.solid_hands import solid_hand
from models.training.cover.train import BATCH, CoverConfig, CoverTrainer
from models.training.dataset import swap_crop_matrix, warp
from tests.models.demo_media import portrait

PEOPLE = ("ada", "ben", "cleo", "dev")


@pytest.fixture(scope="module")
def faces(open_pack: Pack) -> Faces:
    engine = FaceSwapEngine.load(open_pack, device="cpu")
    images = []
    meshes = []

    for who in PEOPLE:
        photo = portrait(f"{who}_neutral")
        mesh = engine.detect(photo)[0].landmarks
        to_side = compose(TO_SIDE, swap_crop_matrix(mesh))
        images.append(warp(np.ascontiguousarray(photo[..., ::-1]), to_side, SIDE))
        meshes.append(transform(mesh, to_side))

    labels = [label_hair(image, mesh) for image, mesh in zip(images, meshes, strict=True)]
    return Faces(
        images=np.stack(images),
        meshes=np.stack(meshes).astype(np.float32),
        hair=np.stack([hair for hair, _ in labels]),
        unsure=np.stack([unsure for _, unsure in labels]),
        moving=np.array([False, False, False, True]),
        bare=np.array([True, True, False, True]),
    )


@pytest.fixture(scope="module")
def maker(faces: Faces) -> SampleMaker:
    alpha = np.zeros((1, SIZE, SIZE), np.uint8)
    alpha[:, 30:80, 40:70] = 255
    return SampleMaker(faces, Hands(np.full((1, SIZE, SIZE, 3), 150, np.uint8), alpha), 4, seed=3)


def test_a_batch_of_a_seed_is_always_the_same(maker: SampleMaker) -> None:
    first = maker.batch(5)
    again = maker.batch(5)
    other = maker.batch(6)
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.truth, again.truth)
    assert not torch.equal(first.x, other.x)


def test_truths_are_shares_and_no_pixel_is_covered_twice(maker: SampleMaker) -> None:
    for step in range(8):
        batch = maker.batch(step)
        assert batch.x.shape[1:] == (8, SIZE, SIZE)
        assert batch.truth.min() >= 0
        assert batch.truth.sum(1).max() <= 1.001
        assert batch.weight.min() >= 0
        assert batch.weight.max() <= 1


def test_what_is_pasted_is_in_the_truth(maker: SampleMaker) -> None:
    covered = [maker.batch(step).truth.amax((2, 3)) for step in range(12)]
    by_kind = torch.cat(covered).amax(0)
    assert by_kind.min() > 0.9, dict(zip(KINDS, by_kind.tolist(), strict=True))


def test_a_few_steps_lower_the_loss(maker: SampleMaker) -> None:
    trainer = CoverTrainer(CoverConfig(images=BATCH * 1000, seed=1))
    batches = [maker.batch(step) for step in range(4)]
    losses = [trainer.step(batch) for _ in range(15) for batch in batches]
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])


def test_a_resumed_trainer_goes_on_where_it_was(maker: SampleMaker) -> None:
    batch = maker.batch(0)
    trainer = CoverTrainer(CoverConfig(seed=1))
    trainer.step(batch)
    other = CoverTrainer(CoverConfig(seed=2))
    other.resume(trainer.state())
    assert other.steps == trainer.steps == 1
    assert other.step(batch).item() == pytest.approx(trainer.step(batch).item(), abs=1e-5)


def test_hair_of_others_is_labelled_where_it_lies(faces: Faces) -> None:
    hair = np.zeros((SIDE, SIDE), np.float32)
    top = int(faces.meshes[1][10, 1])
    hair[top - 4 : top + 16, 50:94] = 1
    red = np.full((SIDE, SIDE, 3), (250, 0, 0), np.uint8)
    nothing = np.zeros((SIDE, SIDE), np.float32)
    head = Head(faces.images[0], faces.meshes[0], nothing, nothing)
    other = Head(red, faces.meshes[1], hair, nothing)

    image, label, unsure = given_hair(head, other, np.random.default_rng(0))
    inside = face_hull(faces.meshes[0], SIDE) > 250
    changed = np.abs(image.astype(int) - faces.images[0]).max(2) > 60
    assert (label[inside] > 0.9).mean() > 0.03
    assert not (changed & inside & (label < 0.2)).any()
    assert unsure.max() == 0


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_hand_touches_the_face_where_it_is_told_to(faces: Faces, seed: int) -> None:
    mesh = faces.meshes[1] - (SIDE - SIZE) / 2
    image = np.full((SIZE, SIZE, 3), 128, np.float32)
    hull = face_hull(mesh, SIZE) / np.float32(255)
    others = (faces.images[0], faces.images[1])
    canvas = Canvas(image, mesh, hull, np.full(3, 128.0), others)
    x, y = (round(float(v)) for v in mesh[4])
    colours, alpha = solid_hand(canvas, np.random.default_rng(seed), mesh[4])

    assert alpha[y - 2 : y + 3, x - 2 : x + 3].max() == 1
    assert 0.02 < alpha.mean() < 0.7
    # Flesh is round, so a hand is not of one brightness.
    assert colours[alpha > 0].std() > 2
    assert np.isfinite(colours).all()
