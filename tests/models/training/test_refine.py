"""Refining one identity's weights on a small bank, for a few steps."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.inference.arrays import to_network  # noqa: E402
from models.inference.errors import BadIdentityError  # noqa: E402
from models.inference.finding.face_mesh import FaceMesh  # noqa: E402
from models.inference.identity import IdentityCode, SpecialisedWeights  # noqa: E402
from models.inference.painting.weight_generator import WeightGenerator  # noqa: E402
from models.inference.session import SessionFactory  # noqa: E402
from models.inference.texture.face_texture import CanonicalFace  # noqa: E402
from models.networks.mesh_network import load_mesh_network  # noqa: E402
from models.packs.store import Pack  # noqa: E402
from models.refinement.batches import HELD_BACK  # noqa: E402
from models.refinement.refine import RefineConfig, Refiner  # noqa: E402
from models.refinement.target_bank import TargetBank  # noqa: E402
from models.training import losses  # noqa: E402
from models.training.batch import as_tensor  # noqa: E402
from models.training.committed import load_shared_heads  # noqa: E402
from models.training.dataset import BANK  # noqa: E402

FACES = HELD_BACK // 2 + 3  # each comes with its mirror image


@pytest.fixture(scope="module")
def refiner(open_pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Refiner:
    folder = tmp_path_factory.mktemp("bank")
    for path in sorted(BANK.glob("bank_*.jpg"))[:FACES]:
        shutil.copy(path, folder)

    bank = TargetBank.load(
        FaceMesh(SessionFactory("cpu", 1).open(open_pack.graph("face_mesh"))), folder
    )
    encoder = losses.face_encoder(open_pack.graph("encoder"), open_pack.embedding_mean())
    heads = load_shared_heads(open_pack.graph("idn"))
    expression = losses.Expression(load_mesh_network(open_pack.graph("face_mesh")))

    return Refiner(heads, encoder, expression, CanonicalFace.load(open_pack.canonical), bank)


@pytest.fixture(scope="module")
def code(refiner: Refiner, open_pack: Pack) -> IdentityCode:
    """The last face of the bank as an identity."""
    face = refiner.bank.target(len(refiner.bank.files) - 1)
    embedding, _ = refiner.encoder(as_tensor([face.crop]))
    texture = refiner.canonical.texture(refiner.bank.files[-1], refiner.bank.meshes[-1]).pixels
    return IdentityCode(open_pack.id, embedding[0].numpy(), texture=texture, landmarks=face.mesh)


@pytest.fixture(scope="module")
def weights(code: IdentityCode, open_pack: Pack) -> SpecialisedWeights:
    return WeightGenerator(SessionFactory("cpu", 1).open(open_pack.graph("iim"))).generate(code)


def test_the_heads_are_those_of_the_packs_graph(
    refiner: Refiner, open_pack: Pack, weights: SpecialisedWeights
) -> None:
    target = refiner.bank.target(0).crop
    texture = refiner.bank.target(4).crop
    graph = SessionFactory("cpu", 1).open_specialised(open_pack.graph("idn"), weights.tensors)
    given = {"target": to_network(target), "texture": to_network(texture)}
    outputs = graph(*(given[name] for name in graph.input_names))
    tensors = {name: torch.from_numpy(tensor) for name, tensor in weights.tensors.items()}

    with torch.no_grad():
        face, _ = refiner.idn(as_tensor([target]), tensors, as_tensor([texture]))

    assert np.abs(face.numpy() - outputs["face"]).max() < 2e-3


def test_a_few_steps_bring_poor_weights_nearer_to_the_person(
    refiner: Refiner, code: IdentityCode, weights: SpecialisedWeights
) -> None:
    rng = np.random.default_rng(0)
    poor = {
        n: t + rng.normal(0, 0.5, t.shape).astype(np.float32) * t.std()
        for n, t in weights.tensors.items()
    }
    refined = refiner.refine(
        code, SpecialisedWeights(poor), RefineConfig(steps=8, batch=4, seconds=120)
    )
    assert refined.steps == 8
    assert refined.after.similarity > refined.before.similarity
    assert {n: t.shape for n, t in refined.weights.tensors.items()} == {
        n: t.shape for n, t in poor.items()
    }


def test_weights_that_could_only_get_worse_are_kept(
    refiner: Refiner, code: IdentityCode, weights: SpecialisedWeights
) -> None:
    ruinous = RefineConfig(steps=3, batch=2, rate=3.0)
    refined = refiner.refine(code, weights, ruinous)
    assert refined.steps == 0
    assert refined.after == refined.before
    assert refined.weights is weights


def test_it_ends_when_its_time_is_up(
    refiner: Refiner, code: IdentityCode, weights: SpecialisedWeights
) -> None:
    shares: list[float] = []
    refiner.refine(code, weights, RefineConfig(batch=2, seconds=0.5), shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_whoever_watches_can_stop_it(
    refiner: Refiner, code: IdentityCode, weights: SpecialisedWeights
) -> None:
    def stop(share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        refiner.refine(code, weights, RefineConfig(batch=2), stop)


def test_an_identity_without_a_texture_cannot_be_refined(
    refiner: Refiner, code: IdentityCode, weights: SpecialisedWeights
) -> None:
    with pytest.raises(BadIdentityError):
        refiner.refine(IdentityCode(code.pack, code.embedding), weights)


def test_the_bank_is_placed_as_the_engine_would_crop_it(refiner: Refiner) -> None:
    target = refiner.bank.target(0)
    eyes = target.mesh[[33, 133]].mean(0), target.mesh[[263, 362]].mean(0)
    assert target.crop.shape == (224, 224, 3)
    assert 60 < eyes[0][0] < 95
    assert 130 < eyes[1][0] < 165
    assert abs(eyes[0][1] - eyes[1][1]) < 6
