"""Bars of the networks and their graphs: counts (M-1), specialised sessions (P-1), graph surgery
(P-9).
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from benchmarks.bar import Figure, bar
from models.export.idn_to_onnx import export_idn
from models.inference.runtime import ort
from models.networks.arcface import ArcFace
from models.networks.body_layers import specialised_shapes
from models.networks.cover_net import CoverNet, count_cover_multiply_adds
from models.networks.idn import IDN, count_multiply_adds, mask_head
from models.networks.iim import Conditioner, OpenIIM, one_identity

PUBLISHED = {  # docs/method.md 8, fact 1
    "specialised numbers": 411_664,
    "final head": 589,
    "mask head": 84_209,
    "IIM": 20_614_912,
    "identity encoder": 52_193_215,
    "multiply-adds of a frame": 305_722_368,
}
# The median of sixty.
ROUNDS = 60
Arrays = dict[str, np.ndarray]


@bar("M-1")
def networks_have_the_published_sizes() -> Figure:
    """Parameters and multiply-adds of the official pack's networks and the open pack's."""
    official = IDN(3, "paper")
    open_idn = IDN(6, "blend")
    counted = {
        "specialised numbers": _specialised_numbers(3),
        "final head": _parameters(official.final),
        "mask head": _parameters(mask_head()),
        "IIM": _parameters(Conditioner()),
        "identity encoder": _parameters(ArcFace()),
        "multiply-adds of a frame": count_multiply_adds(3, "paper"),
    }

    for name, value in counted.items():
        print(f"official  {name:26} {value:>12,}  published {PUBLISHED[name]:>12,}")

    open_counts = {
        "specialised numbers": _specialised_numbers(6),
        "blend head": _parameters(open_idn.final),
        "cover network": _parameters(CoverNet()),
        "IIM": _parameters(OpenIIM(6)),
        "multiply-adds of a frame": count_multiply_adds(6, "blend") + count_cover_multiply_adds(),
    }

    for name, value in open_counts.items():
        print(f"open      {name:26} {value:>12,}")

    equal = sum(counted[name] == PUBLISHED[name] for name in PUBLISHED)
    return Figure(f"{equal} of {len(PUBLISHED)}", "counts equal", "all", equal == len(PUBLISHED))


@bar("P-1")
def specialised_session_costs_no_more_than_a_baked_one() -> Figure:
    """One frame through a session with external initializers, over one whose file carries the
    weights.
    """
    # Random weights cost the same time as trained ones.
    network = _network()
    weights = _weights()
    graph = export_idn(network)

    with tempfile.TemporaryDirectory() as folder:
        shared = Path(folder) / "shared.onnx"
        baked = Path(folder) / "baked.onnx"
        onnx.save(graph, shared)
        onnx.save(_baked(graph, weights), baked)
        sessions = {"baked": _session(baked), "external": _session(shared, weights)}
        # The fastest of nine: opening is bound by the disk's cache.
        creation = min(_milliseconds(lambda: _session(shared, weights)) for _ in range(9))

    outputs = [session.run(None, _images()) for session in sessions.values()]
    # Bit by bit, since both compute the same numbers in the same order.
    same = all(np.array_equal(a, b) for a, b in zip(*outputs, strict=True))
    costs = _costs(sessions)
    print(f"opening a specialised session: {creation:.1f} ms; outputs bit-identical: {same}")
    ratio = costs["external"] / costs["baked"]
    return Figure(ratio, "x baked", "<= 1.05", ratio <= 1.05 and same)


@bar("P-9")
def graph_surgery_makes_the_generator_cheaper() -> Figure:
    """The shipped IDN graph over torch's plain export, both with the same weights.

    Kept: the first layer on eight channels with the normalising folded into its kernels (three or
    six channels miss ONNX Runtime's blocked kernels); the pixel shuffle as two simple transposes;
    one upsampling of the deepest features for decoder and mask; in the paper's head, the 1x1
    convolution and its norm before the upsampling. Tried and dropped: depthwise and pointwise of
    the mask's last blocks merged into one convolution (1.07x: outputs are filled up to eight
    channels, so the product costs more than its parts); first depthwise and pointwise merged
    (1.00x); resizing as matrix products (1.00x at 7 px, 1.04x up to 14 px, 1.49x at all sizes).
    """
    network = _network()
    weights = _weights()

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        shipped = Path(folder) / "shipped.onnx"
        _plain_export(network, weights, plain)
        onnx.save(export_idn(network), shipped)
        sessions = {"plain": _session(plain), "shipped": _session(shipped, weights)}

    first, second = (session.run(["face"], _images())[0] for session in sessions.values())
    difference = float(np.abs(first - second).max())
    print(f"largest difference between the two: {difference:.1e}")
    costs = _costs(sessions)
    ratio = costs["shipped"] / costs["plain"]

    return Figure(ratio, "x plain export", "< 1, equal to 1e-5", ratio < 1 and difference < 1e-5)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _specialised_numbers(inputs: int) -> int:
    return sum(int(np.prod(shape)) for shape in specialised_shapes(inputs).values())


def _network() -> IDN:
    torch.manual_seed(0)
    return IDN(6, "blend").eval().requires_grad_(False)


@torch.no_grad()
def _weights() -> Arrays:
    torch.manual_seed(1)
    weights = OpenIIM(6)(nn.functional.normalize(torch.randn(1, 128)))
    return {name: tensor.numpy() for name, tensor in one_identity(weights, 0).items()}


def _images() -> Arrays:
    random = np.random.default_rng(0)
    return {name: random.random((1, 3, 224, 224), np.float32) for name in ("target", "texture")}


# As if the identity were part of the file: what the external weights have to compete with.
def _baked(graph: onnx.ModelProto, weights: Arrays) -> onnx.ModelProto:
    baked = onnx.ModelProto()
    baked.CopyFrom(graph)
    kept = [tensor for tensor in graph.graph.initializer if tensor.name not in weights]
    del baked.graph.initializer[:]
    baked.graph.initializer.extend(
        kept + [numpy_helper.from_array(value, name) for name, value in weights.items()]
    )
    return baked


def _plain_export(network: IDN, weights: Arrays, path: Path) -> None:
    class Baked(nn.Module):
        def forward(self, target: torch.Tensor, texture: torch.Tensor) -> torch.Tensor:
            face, _ = network(target, tensors, texture)
            return face  # type: ignore[no-any-return]

    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    images = tuple(torch.from_numpy(value) for value in _images().values())
    inputs = ["target", "texture"]

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the tracing exporter needs nothing beyond torch, and says it is old
        torch.onnx.export(
            Baked(),
            images,
            path,
            dynamo=False,
            opset_version=17,
            input_names=inputs,
            output_names=["face"],
        )


def _session(path: Path, external: Mapping[str, np.ndarray] | None = None) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One thread, as a worker has.
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    values = {
        name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in (external or {}).items()
    }
    options.add_external_initializers(list(values), list(values.values()))
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _costs(sessions: Mapping[str, ort.InferenceSession]) -> dict[str, float]:
    """Median milliseconds of one thread's CPU time per frame, the sessions taking turns."""
    images = _images()
    samples: dict[str, list[float]] = {name: [] for name in sessions}

    # In turns, so that a busy machine slows both.
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            # CPU time of this thread: other processes do not count.
            started = time.thread_time()
            session.run(None, images)
            samples[name].append(1e3 * (time.thread_time() - started))

    costs = {name: statistics.median(values) for name, values in samples.items()}
    for name, cost in costs.items():
        print(f"{name:10} {cost:6.2f} ms (fastest {min(samples[name]):.2f})")

    return costs


def _milliseconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - started)
