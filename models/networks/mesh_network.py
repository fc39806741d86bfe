"""The face mesh network as a frozen torch module: expression as something that can be learnt from
(training only).

The pack's graph is walked node by node; it is the converted MediaPipe network (docs/method.md 9),
of few kinds of nodes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch import Tensor, nn

from models.inference.mesh_points import MESH_POINTS


class MeshNetwork(nn.Module):
    """RGB crops [n, 3, 192, 192] in 0..1 -> landmarks [n, 468, 2] in their pixels, differentiable
    in the crops.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        super().__init__()
        # Whether a face is there is of no use here: the crops are known to show one.
        self.nodes = [_Node(node) for node in graph.node if "presence" not in node.output]
        self.names = {
            tensor.name: f"tensor{index}" for index, tensor in enumerate(graph.initializer)
        }

        # Buffers move with the module to its device, and cannot be trained by mistake.
        for tensor in graph.initializer:
            self.register_buffer(
                self.names[tensor.name], torch.from_numpy(numpy_helper.to_array(tensor).copy())
            )

    def forward(self, crops: Tensor) -> Tensor:
        values: dict[str, Tensor] = {
            name: self.get_buffer(place) for name, place in self.names.items()
        }
        values["image"] = crops

        for node in self.nodes:
            values[node.output] = node.run([values[name] for name in node.inputs])

        # Depth is dropped: the losses compare what can be seen.
        return values["landmarks"].reshape(-1, MESH_POINTS, 3)[..., :2]


class _Node:
    """One node of the graph."""

    def __init__(self, node: onnx.NodeProto) -> None:
        self.kind = node.op_type
        self.inputs = list(node.input)
        self.output = node.output[0]
        self.options: dict[str, Any] = {
            a.name: onnx.helper.get_attribute_value(a) for a in node.attribute
        }

    def run(self, x: list[Tensor]) -> Tensor:
        options = self.options
        match self.kind:
            case "Conv":
                top, left, bottom, right = options.get("pads", (0, 0, 0, 0))
                # torch's own padding is symmetric; TensorFlow's SAME, which the file was made with,
                # is not.
                padded = F.pad(x[0], (left, right, top, bottom))
                bias = x[2] if len(x) > 2 else None

                return F.conv2d(
                    padded,
                    x[1],
                    bias,
                    tuple(options.get("strides", (1, 1))),
                    groups=options.get("group", 1),
                )
            case "Add":
                return x[0] + x[1]
            case "Mul":
                return x[0] * x[1]
            case "Relu":
                return F.relu(x[0])
            case "MaxPool":
                return F.max_pool2d(x[0], options["kernel_shape"], options["strides"])
            case "Pad":
                # ONNX lists all begins before all ends, from the first axis; torch wants pairs,
                # from the last.
                half = len(x[1]) // 2
                pairs = [
                    (int(x[1][axis]), int(x[1][axis + half])) for axis in reversed(range(half))
                ]
                return F.pad(x[0], [amount for pair in pairs for amount in pair])
            case "Transpose":
                return x[0].permute(options["perm"])

        raise ValueError(f"the mesh network has no {self.kind}")


def load_mesh_network(graph: Path) -> MeshNetwork:
    """Return the frozen network of an open pack's `face_mesh.onnx`."""
    return MeshNetwork(onnx.load(graph).graph).eval().requires_grad_(False)
