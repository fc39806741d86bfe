"""IDN and IIM as ONNX graphs, held to their torch networks, and those to trained reference
numbers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch.nn.functional import normalize

from models.export.comparison import TOLERANCE, ExportMismatchError, compare
from models.export.cover_to_onnx import GUIDE, export_cover
from models.export.idn_to_onnx import export_idn
from models.export.iim_to_onnx import export_conditioner, export_open_iim
from models.export.open_pack import write_cover, write_open_pack
from models.networks.body_layers import shapes_of, specialised_shapes
from models.networks.cover_net import SIZE, CoverNet
from models.networks.idn import IDN, Head
from models.networks.iim import Conditioner, OpenIIM, one_identity
from models.packs.manifest import Manifest
from models.packs.pull import MANIFESTS
from tests.models.export.first_weights import load_first_weights

Weights = dict[str, torch.Tensor]


def lively(network: torch.nn.Module) -> torch.nn.Module:
    """Norms with statistics of their own, as after training: an unfolded one would show."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)

    return network.eval()


def weights_for(network: IDN) -> Weights:
    random = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(shape, generator=random) * 0.2
        for name, shape in shapes_of(network.layers).items()
    }


@pytest.mark.parametrize(
    ("inputs", "head", "size"), [(3, "paper", 224), (6, "blend", 224), (6, "paper", 128)]
)
def test_specialised_idn_graph_agrees_with_torch(inputs: int, head: Head, size: int) -> None:
    torch.manual_seed(0)
    network = lively(IDN(inputs, head))
    weights = weights_for(network)
    target, texture = torch.rand(2, 1, 3, size, size)
    images = {"target": target} | ({"texture": texture} if inputs == 6 else {})
    face, mask = network(target, weights, images.get("texture"))
    expected = {"face": face} | ({} if mask is None else {"mask": mask})
    assert compare(export_idn(network, size), images, expected, external=weights) <= TOLERANCE


def test_cover_graph_agrees_with_torch() -> None:
    torch.manual_seed(0)
    network = lively(CoverNet())
    image = torch.rand(1, 3, SIZE, SIZE)
    guide = torch.rand(1, GUIDE, SIZE, SIZE)
    likely = torch.sigmoid(network(torch.cat([2 * image - 1, guide], 1)))
    compared = compare(export_cover(network), {"image": image, "guide": guide}, {"cover": likely})
    assert compared <= TOLERANCE


def test_a_cover_network_is_pinned_in_both_packs(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    for name in ("open.toml", "official.toml"):
        (tmp_path / name).write_text((MANIFESTS / name).read_text())

    write_cover(lively(CoverNet()), packs=tmp_path)
    digest = hashlib.sha256((tmp_path / "open" / "cover.onnx").read_bytes()).hexdigest()

    for name in ("open.toml", "official.toml"):
        files = Manifest.parse((tmp_path / name).read_text()).files
        assert [file.sha256 for file in files if file.role == "cover"] == [digest]


def test_idn_graph_carries_no_identity() -> None:
    tensors = export_idn(IDN(3, "paper").eval()).graph.initializer
    external = {
        t.name: tuple(t.dims) for t in tensors if t.data_location == onnx.TensorProto.EXTERNAL
    }
    assert external == specialised_shapes(3)
    assert sum(int(np.prod(shape)) for shape in external.values()) == 411_664


def test_open_iim_graph_agrees_with_torch_at_half_precision() -> None:
    torch.manual_seed(0)
    network = OpenIIM(6).half().float().eval()
    embedding = normalize(torch.randn(1, 128))
    model = export_open_iim(network)
    assert len(model.SerializeToString()) < 6.5e6
    assert (
        compare(model, {"embedding": embedding}, one_identity(network(embedding), 0)) <= TOLERANCE
    )


def test_conditioner_graph_agrees_with_torch() -> None:
    torch.manual_seed(0)
    network = lively(Conditioner())
    inputs = {"feature_map": torch.randn(1, 512, 7, 7), "embedding": normalize(torch.randn(1, 512))}
    expected = one_identity(network(inputs["feature_map"], inputs["embedding"]), 0)
    compare(export_conditioner(network), inputs, expected)


def test_comparison_notices_a_wrong_graph() -> None:
    network = lively(IDN(3, "paper"))
    weights = weights_for(network)
    target = torch.rand(1, 3, 224, 224)
    face, mask = network(target, weights)
    assert mask is not None

    with pytest.raises(ExportMismatchError, match="mask"):
        compare(
            export_idn(network),
            {"target": target},
            {"face": face, "mask": mask * 0.999},
            external=weights,
        )


def test_networks_reproduce_trained_reference_numbers(shared: Path) -> None:
    """Tolerances as the card of these weights states them: they were computed before rounding to
    float16.
    """
    folder = shared / "weights" / "open"
    idn, iim = load_first_weights(folder / "first_weights.npz")

    with np.load(folder / "reference_io.npz") as file:
        target, texture = (
            torch.from_numpy(file[name]).float() / 255 for name in ("target", "texture")
        )
        embedding, face, mask = (
            torch.from_numpy(file[name]) for name in ("embedding", "face", "mask")
        )

    with torch.no_grad():
        weights = one_identity(iim(embedding), 0)
        own_face, own_mask = idn(target, weights, texture)

    assert (own_face - face).abs().max() < 5e-4
    assert (own_mask - mask).abs().max() < 2e-3


def test_open_pack_is_written_pinned_and_described(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "canonical_face.npz").write_bytes(
        (MANIFESTS / "open" / "canonical_face.npz").read_bytes()
    )
    (tmp_path / "open.toml").write_text((MANIFESTS / "open.toml").read_text())
    write_open_pack(
        lively(IDN(6, "paper")),
        OpenIIM(6, light=False),
        np.ones(128, np.float32),
        size=128,
        packs=tmp_path,
    )
    manifest = Manifest.parse((tmp_path / "open.toml").read_text())
    assert (manifest.swapper.size, manifest.swapper.head) == (128, "paper")
    pinned = {file.file: file.sha256 for file in manifest.files if not file.archive}
    committed = {
        "iim.onnx",
        "idn.onnx",
        "cover.onnx",
        "canonical_face.npz",
        "device.zip",
        "embedding_mean.npy",
    }
    assert set(pinned) == committed
    before = Manifest.parse((MANIFESTS / "open.toml").read_text())
    fetched = [file for file in manifest.files if file.archive]
    assert fetched == [file for file in before.files if file.archive]
