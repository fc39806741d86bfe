"""Pairs, losses and the trainer itself, on a handful of composite faces."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.inference.session import SessionFactory  # noqa: E402
from models.inference.texture.face_texture import CanonicalFace  # noqa: E402
from models.networks.mesh_network import load_mesh_network  # noqa: E402
from models.packs.store import Pack  # noqa: E402
from models.training import losses  # noqa: E402
from models.training.dataset import BANK, FaceSet  # noqa: E402
from models.training.evaluation import measures  # noqa: E402
from models.training.evaluation.renders import settle_norms  # noqa: E402
from models.training.material.prepare import Portrait, prepare  # noqa: E402
from models.training.pairs import PairMaker, PairMix  # noqa: E402
from models.training.student import Student, TrainConfig  # noqa: E402
from models.training.teacher import Source, morph, teach  # noqa: E402
from models.training.train import train  # noqa: E402
from models.training.trainer import Trainer  # noqa: E402

PHOTOS = 6  # three of each person


@pytest.fixture(scope="module")
def folder(open_pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = sorted(BANK.glob("bank_*.jpg"))[:PHOTOS]
    faces = [Portrait(path, f"p{i // 3}", "bank", "train") for i, path in enumerate(files)]
    made = tmp_path_factory.mktemp("training")
    prepare(faces, open_pack.root, CanonicalFace.load(open_pack.canonical), made / "faces")
    return made


@pytest.fixture(scope="module")
def faces(folder: Path) -> FaceSet:
    return FaceSet.load(folder / "faces")


@pytest.fixture(scope="module")
def canonical(open_pack: Pack) -> CanonicalFace:
    return CanonicalFace.load(open_pack.canonical)


def test_every_face_comes_with_its_mirror_image(faces: FaceSet) -> None:
    assert len(faces.persons) == 2 * PHOTOS
    assert np.array_equal(faces.crops[PHOTOS], faces.crops[0][:, ::-1])
    assert abs(faces.yaws[0] + faces.yaws[PHOTOS]) < 4
    assert np.allclose(np.linalg.norm(faces.embeddings, axis=1), 1, atol=1e-5)


def test_photos_of_one_person_are_alike_to_the_encoder(faces: FaceSet) -> None:
    similar = faces.embeddings[:PHOTOS] @ faces.embeddings[:PHOTOS].T
    assert similar[:3, :3].min() > similar[:3, 3:].max()


def test_a_batch_is_the_same_every_time(faces: FaceSet, canonical: CanonicalFace) -> None:
    first, again = (PairMaker(faces, canonical, PairMix(), seed=3).batch(5) for _ in range(2))
    assert torch.equal(first.target, again.target)
    assert torch.equal(first.embeddings, again.embeddings)
    other = PairMaker(faces, canonical, PairMix(), seed=3).batch(6)
    assert not torch.equal(first.target, other.target)


def test_a_photograph_that_is_the_truth_is_never_shown(
    faces: FaceSet, canonical: CanonicalFace
) -> None:
    maker = PairMaker(faces, canonical, PairMix(same=1.0, self_=0.0, morphs=0.0), seed=0)
    batch = maker.batch(0)
    assert batch.real.all()
    change = ((batch.target - batch.truth).abs() * (batch.mask > 0.9)).sum((1, 2, 3)) / (
        batch.mask > 0.9
    ).sum((1, 2, 3))
    assert change.min() > 0.02
    outside = (batch.target - batch.truth).abs() * (batch.mask == 0)
    assert outside.max() < 1 / 255 + 1e-6


def test_the_teacher_leaves_the_surroundings_alone(
    faces: FaceSet, canonical: CanonicalFace
) -> None:
    target = faces.swap_crop(4)
    swap, placed = teach(
        canonical, Source(faces.textures[0], faces.meshes[0]), target, faces.meshes[4]
    )
    assert np.array_equal(swap[placed.mask == 0], target[placed.mask == 0])
    assert np.abs(swap.astype(int) - target)[placed.mask > 0.9].mean() > 4


def test_half_way_between_two_people_lies_their_mean(faces: FaceSet) -> None:
    sources = [Source(faces.textures[row], faces.meshes[row]) for row in (0, 4)]
    middle = morph(sources[0], sources[1], 0.5)
    assert np.allclose(middle.mesh, (sources[0].mesh + sources[1].mesh) / 2, atol=1e-3)


def test_a_fresh_student_shows_the_placed_texture(faces: FaceSet, canonical: CanonicalFace) -> None:
    torch.manual_seed(0)
    batch = PairMaker(faces, canonical, PairMix(), seed=1).batch(0)

    with torch.no_grad():
        face, mask = Student(TrainConfig()).eval()(batch)

    assert (face - batch.texture).abs().mean() < 0.02
    assert mask is None  # the cover network says where a face shows


def test_norms_are_measured_anew_before_a_student_is_used(
    faces: FaceSet, canonical: CanonicalFace
) -> None:
    torch.manual_seed(0)
    student = Student(TrainConfig(without=("texture",)))  # whose mask head has the norms
    batch = PairMaker(faces, canonical, PairMix(), seed=0).batch(0)

    with torch.no_grad():
        wanted = settle_norms(student, faces, batches=2)(batch)[1]
        for name, value in student.named_buffers():
            if name.endswith("running_mean"):
                value += 3  # as if the weights had moved on

        spoilt = student(batch)[1]
        settled = settle_norms(student, faces, batches=2)(batch)[1]

    assert (spoilt - wanted).abs().max() > 0.01
    assert torch.allclose(settled, wanted, atol=1e-4)


def test_alpha_is_the_squared_cosine_times_quality() -> None:
    source = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    teacher = torch.tensor([[0.6, 0.8], [-1.0, 0.0]])
    alpha = losses.teacher_quality(source, teacher, torch.tensor([0.5, 1.0]))
    assert torch.allclose(alpha, torch.tensor([0.18, 0.0]))


def test_the_mesh_network_reads_what_production_reads(faces: FaceSet, open_pack: Pack) -> None:
    crops = (
        torch.from_numpy(faces.crops[:2, 48:240, 48:240].copy()).permute(0, 3, 1, 2).float() / 255
    )
    graph = SessionFactory("cpu", 1).open(open_pack.graph("face_mesh"))
    wanted = np.stack(
        [graph(crop[None].numpy())["landmarks"].reshape(468, 3)[:, :2] for crop in crops]
    )
    assert (
        np.abs(load_mesh_network(open_pack.graph("face_mesh"))(crops).numpy() - wanted).max() < 0.01
    )


def test_a_mouth_drawn_shut_is_another_expression(faces: FaceSet, open_pack: Pack) -> None:
    expression = losses.Expression(load_mesh_network(open_pack.graph("face_mesh")))
    row = int(faces.openings.argmax())
    face = torch.from_numpy(faces.swap_crop(row)).permute(2, 0, 1)[None].float() / 255
    lips = faces.meshes[row][[13, 14]].mean(0).round().astype(int)
    shut = face.clone().requires_grad_()
    skin = face[..., lips[1] + 30, lips[0]][..., None, None]
    covered = shut * 1.0
    covered[..., lips[1] - 14 : lips[1] + 14, lips[0] - 30 : lips[0] + 30] = skin
    change = (expression(covered) - expression(face)).abs().mean()
    change.backward()
    assert change > 0.01
    assert shut.grad is not None
    assert shut.grad.abs().sum() > 0


def test_a_spoilt_teacher_is_drawn_when_asked_for(faces: FaceSet, canonical: CanonicalFace) -> None:
    apart = []
    for share in (0.0, 1.0):
        mix = PairMix(same=0.0, self_=0.0, spoilt=share)
        batch = PairMaker(faces, canonical, mix, seed=0).batch(0)
        unspoilt = batch.target + (batch.texture - batch.target) * batch.mask
        apart.append((batch.truth - unspoilt).abs().amax((1, 2, 3)))

    assert apart[0].max() < 1.5 / 255
    assert (apart[1] > 10 / 255).sum() >= 4


@pytest.mark.parametrize("without", [(), ("texture",)])
def test_the_appearance_encoder_tells_textures_apart(
    faces: FaceSet, without: tuple[str, ...]
) -> None:
    torch.manual_seed(0)
    student = Student(TrainConfig(without=without, appearance=True))
    embeddings = torch.from_numpy(faces.embeddings[[0, 0]])
    textures = torch.from_numpy(faces.textures[[0, 3]].copy()).permute(0, 3, 1, 2).float() / 255
    first, second = (
        student.specialise(embeddings, textures)["encoder.0.pointwise"] for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_errors_outside_the_mask_do_not_count() -> None:
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    truth = torch.zeros(1, 3, 4, 4)
    face = torch.zeros(1, 3, 4, 4)
    face[..., 2:] = 1
    assert losses.reconstruction(face, truth, mask).item() == 0
    face[..., :2] = 0.5
    assert losses.reconstruction(face, truth, mask).item() == pytest.approx(0.5)
    assert losses.reconstruction(face, truth, mask, tolerance=0.1).item() == pytest.approx(0.45)


def test_measures_see_blur_and_colour(faces: FaceSet) -> None:
    crop = faces.swap_crop(0)
    mask = np.ones((224, 224), np.float32)
    assert measures.detail(np.full_like(crop, 90), mask) == 0
    assert (
        measures.colour_shift(np.clip(crop.astype(int) + 10, 0, 255).astype(np.uint8), crop, mask)
        > 0.02
    )
    assert measures.outside_error(crop, crop, np.zeros((224, 224), np.float32)) == 0


def test_training_stops_and_goes_on_where_it_was(folder: Path, open_pack: Pack) -> None:
    mix = PairMix(identities=1, targets=2)
    config = TrainConfig(
        run="short", images=6, threads=1, mix=mix, adversarial_from=0.4, log_every=1
    )
    train(config, folder, open_pack.root)
    state = torch.load(folder / "runs/short/state.pt", weights_only=True)
    assert state["steps"] == 3
    train(replace(config, images=8), folder, open_pack.root)
    assert torch.load(folder / "runs/short/state.pt", weights_only=True)["steps"] == 4
    lines = (folder / "runs/short/curve.csv").read_text().splitlines()
    assert len(lines) == 5


def test_a_step_moves_the_student_and_its_average_follows(
    folder: Path, faces: FaceSet, open_pack: Pack
) -> None:
    config = TrainConfig(mix=PairMix(identities=1, targets=2), adversarial_from=0.0)
    trainer = Trainer(config, faces, open_pack.root, torch.device("cpu"))
    before = trainer.student.iim.kernel_base.detach().clone()
    terms = trainer.step(trainer.pairs.batch(0))
    late = {"adversarial", "features", "judge"}
    assert {"reconstruction", "perceptual", "identity", "expression"} | late == set(terms)
    moved = (trainer.student.iim.kernel_base - before).abs().max().item()
    assert 0 < (trainer.average.iim.kernel_base - before).abs().max().item() <= moved
