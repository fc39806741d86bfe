"""The facts that docs/method.md 8 holds an implementation to, on the networks themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from models.networks.body_layers import shapes_of, specialised_shapes
from models.networks.cover_net import (
    INPUTS,
    KINDS,
    SIZE,
    CoverNet,
    count_cover_multiply_adds,
)
from models.networks.idn import IDN, Head, count_multiply_adds
from models.networks.iim import Conditioner, OpenIIM, one_identity


@contextmanager
def counted_convolutions() -> Iterator[list[int]]:
    """Collect the multiply-adds of every convolution that really runs, for one image."""
    counted: list[int] = []
    original = nn.functional.conv2d

    def counting(
        x: torch.Tensor, weight: torch.Tensor, *args: object, **kwargs: object
    ) -> torch.Tensor:
        y: torch.Tensor = original(x, weight, *args, **kwargs)
        counted.append(y[0, 0].numel() * weight.numel())
        return y

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "conv2d", counting)
        yield counted


def macs_by_running(network: IDN, inputs: int, size: int = 224) -> int:
    target = torch.rand(1, 3, size, size)
    weights = {name: torch.zeros(shape) for name, shape in shapes_of(network.layers).items()}
    with counted_convolutions() as counted, torch.no_grad():
        network(target, weights, target if inputs == 6 else None)
    return sum(counted)


def test_papers_frame_costs_the_published_multiply_adds() -> None:
    assert (
        macs_by_running(IDN(3, "paper").eval(), 3) == count_multiply_adds(3, "paper") == 305_722_368
    )


def test_open_frame_costs_what_is_promised() -> None:
    counted = macs_by_running(IDN(6, "blend").eval(), 6)
    assert counted == count_multiply_adds(6, "blend")
    assert counted == 141_847_552
    assert counted + count_cover_multiply_adds() <= 200_000_000
    specialised = sum(torch.Size(shape).numel() for shape in specialised_shapes(6).values())
    shared = sum(p.numel() for net in (IDN(6, "blend"), CoverNet()) for p in net.parameters())
    assert specialised == 403_456
    assert specialised + shared <= 510_000
    assert sum(p.numel() for p in OpenIIM(6).parameters()) <= 8_000_000


def test_the_cover_network_costs_what_is_counted_and_answers_by_kind() -> None:
    network = CoverNet().eval()
    with counted_convolutions() as counted, torch.no_grad():
        logits = network(torch.rand(1, INPUTS, SIZE, SIZE))
    assert sum(counted) == count_cover_multiply_adds()
    assert logits.shape == (1, len(KINDS), SIZE, SIZE)


def test_the_blend_head_keeps_the_face_in_range_and_leaves_the_mask_to_others() -> None:
    torch.manual_seed(0)
    network = IDN(6, "blend").eval()
    target, texture = torch.rand(2, 1, 3, 64, 64)
    weights = {name: torch.randn(shape) for name, shape in specialised_shapes(6).items()}

    with torch.no_grad():
        face, mask = network(target, weights, texture)

    assert 0 <= face.min() <= face.max() <= 1
    assert mask is None


@pytest.mark.parametrize(("inputs", "head"), [(3, "paper"), (6, "paper")])
def test_mask_and_face_stay_in_range_and_an_empty_mask_leaves_the_target(
    inputs: int, head: Head
) -> None:
    torch.manual_seed(0)
    network = IDN(inputs, head).eval()
    target, texture = torch.rand(2, 1, 3, 64, 64)
    weights = {name: torch.randn(shape) for name, shape in shapes_of(network.layers).items()}

    with torch.no_grad():
        face, mask = network(target, weights, texture if inputs == 6 else None)
        assert 0 <= face.min() <= face.max() <= 1
        assert 0 <= mask.min() <= mask.max() <= 1
        assert network.mask is not None
        network.mask[5].bias.fill_(-1e4)
        face, mask = network(target, weights, texture if inputs == 6 else None)

    assert torch.equal(face * mask + target * (1 - mask), target)


def test_body_has_no_parameters_and_no_bias_of_its_own() -> None:
    network = IDN(3, "paper")
    assert {name.split(".")[0] for name, _ in network.named_parameters()} == {"final", "mask"}
    assert len(specialised_shapes(3)) == 18


@pytest.mark.parametrize("network", [OpenIIM(6), Conditioner()])
def test_pointwise_rows_have_length_one(network: OpenIIM | Conditioner) -> None:
    if isinstance(network, OpenIIM):
        weights = network(normalize(torch.randn(2, 128)))
    else:
        weights = network.eval()(torch.randn(2, 512, 7, 7), normalize(torch.randn(2, 512)))

    for name, tensor in one_identity(weights, 1).items():
        assert tuple(tensor.shape) == shapes_of(network.layers)[name]
        if name.endswith("pointwise"):
            torch.testing.assert_close(
                tensor.flatten(1).norm(dim=1), torch.ones(len(tensor)), atol=1e-4, rtol=0
            )


def test_two_identities_get_different_weights() -> None:
    weights = OpenIIM(6)(normalize(torch.randn(2, 128)))
    for tensor in weights.values():
        assert (tensor[0] - tensor[1]).abs().max() > 0


def test_mask_sends_no_gradient_into_the_body() -> None:
    network = IDN(3, "paper")
    weights = {
        name: torch.randn(shape, requires_grad=True)
        for name, shape in specialised_shapes(3).items()
    }
    _, mask = network(torch.rand(1, 3, 64, 64), weights)
    assert mask is not None
    assert network.mask is not None
    mask.sum().backward()
    assert all(tensor.grad is None for tensor in weights.values())
    assert network.mask[5].weight.grad is not None
