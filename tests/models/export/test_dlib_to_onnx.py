"""The encoder of the open pack against dlib itself."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.export.dlib_format import DlibFormatError, read_resnet
from models.inference.arrays import to_network
from models.inference.session import SessionFactory
from models.networks.dlib_resnet import load_dlib_resnet
from models.packs.store import Pack

TOLERANCE = 1e-5


def chip(path: Path) -> np.ndarray:
    return to_network(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))


def test_embeddings_are_dlibs_own(shared: Path, open_pack: Pack) -> None:
    reference = json.loads((shared / "eval" / "dlib_reference.json").read_text())
    graph = SessionFactory().open(open_pack.graph("encoder"))
    network = load_dlib_resnet(open_pack.graph("encoder"))

    for name, entry in reference.items():
        image = chip(shared / "eval" / "chips" / f"{name}.png")
        expected = np.array(entry["embedding"], np.float32)
        assert np.abs(graph(image)["embedding"][0] - expected).max() < TOLERANCE
        assert np.abs(network(torch.from_numpy(image))[0].numpy() - expected).max() < TOLERANCE


def test_several_chips_at_once_give_what_each_gives_alone(open_pack: Pack) -> None:
    graph = SessionFactory().open(open_pack.graph("encoder"))
    chips = np.random.default_rng(0).random((3, 3, 150, 150), np.float32)
    alone = np.concatenate([graph(chip[None])["embedding"] for chip in chips])
    np.testing.assert_allclose(graph(chips)["embedding"], alone, atol=TOLERANCE)


def test_gradient_reaches_the_image(open_pack: Pack) -> None:
    network = load_dlib_resnet(open_pack.graph("encoder"))
    image = torch.rand(1, 3, 150, 150, requires_grad=True)
    features = network.features(image, depth=2)
    assert [tuple(f.shape[1:]) for f in features] == [(32, 72, 72), (32, 35, 35), (64, 17, 17)]
    features[-1].square().mean().backward()
    assert image.grad is not None
    assert image.grad.abs().max() > 0
    assert not any(p.requires_grad for p in network.parameters())


@pytest.mark.parametrize("data", [b"", b"\x01\x05con_4\x01\x03", b"something else entirely"])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(DlibFormatError):
        read_resnet(data)
