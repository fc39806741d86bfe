"""Reads the first trained weights of a texture-guided IDN (128 px, paper's head) into this
project's networks.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.networks.idn import IDN
from models.networks.iim import OpenIIM

SIZE = 128

# Pattern of their name -> ours. Heads: f1, b1, f2, b2, f3 are final.1, 2, 4, 5, 7; a mask block's
# parts count from 1.
IIM_NAMES = (
    (r"k0", "kernel_base"),
    (r"dw\.", "kernel_residual."),
    (r"sty\.", "style."),
    (r"W\.", "pointwise."),
)
IDN_NAMES = (
    (r"f1\.", "final.1."),
    (r"b1\.", "final.2."),
    (r"f2\.", "final.4."),
    (r"b2\.", "final.5."),
    (r"f3\.", "final.7."),
    (r"m\.(\d)\.0\.", r"mask.\1.1."),
    (r"m\.(\d)\.1\.", r"mask.\1.2."),
    (r"m\.(\d)\.2\.", r"mask.\1.3."),
    (r"mf\.", "mask.5."),
)


def load_first_weights(path: Path) -> tuple[IDN, OpenIIM]:
    """Return both networks in eval mode.

    Raises KeyError or RuntimeError when the file holds something else.
    """
    idn = IDN(6, "paper")
    iim = OpenIIM(6, light=False)

    with np.load(path, allow_pickle=False) as file:
        tensors = {name: torch.from_numpy(file[name].astype(np.float32)) for name in file.files}

    _load(idn, _renamed(tensors, "h.", IDN_NAMES))
    _load(iim, _renamed(tensors, "iim.", IIM_NAMES))
    return idn.eval(), iim.eval()


def _load(network: torch.nn.Module, state: dict[str, Tensor]) -> None:
    counters = {
        name: value
        for name, value in network.state_dict().items()
        if name.endswith("num_batches_tracked")
    }
    network.load_state_dict(state | counters)


def _renamed(
    tensors: dict[str, Tensor], prefix: str, names: tuple[tuple[str, str], ...]
) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith(prefix):
            renamed[_ours(name.removeprefix(prefix), names)] = tensor

    return renamed


def _ours(name: str, names: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in names:
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", replacement, name)
    return name
