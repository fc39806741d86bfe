"""Turns trained weights into the open pack's committed files, and pins them in its manifest."""

from __future__ import annotations

import copy
import hashlib
import re
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from models.export.comparison import compare
from models.export.cover_to_onnx import GUIDE, export_cover
from models.export.device_template import write_device_templates
from models.export.idn_to_onnx import export_idn
from models.export.iim_to_onnx import export_open_iim
from models.networks.cover_net import SIZE as COVER_SIZE
from models.networks.cover_net import CoverNet
from models.networks.idn import IDN, BlendHead
from models.networks.iim import OpenIIM, one_identity

PACKS = Path(__file__).parents[1] / "packs"


def write_open_pack(
    idn: IDN,
    iim: OpenIIM,
    embedding_mean: NDArray[np.float32],
    *,
    size: int = 224,
    packs: Path = PACKS,
) -> None:
    """Write iim.onnx, idn.onnx, device.zip and embedding_mean.npy into `packs`/open and their
    facts into `packs`/open.toml.

    The IIM is rounded to float16 first; both graphs must then agree with torch. Raises
    ExportMismatchError.
    """
    folder = packs / "open"
    idn = idn.eval()
    # Compared as it will be stored, not as it was trained: rounding is part of the pack.
    iim = _rounded(iim)
    iim_graph = export_open_iim(iim)
    idn_graph = export_idn(idn, size)
    # Before anything is written: a pack that disagrees with its networks is worse than an old one.
    check_open_graphs(idn, iim, idn_graph, iim_graph, size)
    onnx.save(iim_graph, folder / "iim.onnx")
    onnx.save(idn_graph, folder / "idn.onnx")
    np.save(folder / "embedding_mean.npy", embedding_mean.astype(np.float32))
    head = "blend" if isinstance(idn.final, BlendHead) else "paper"

    if head == "blend":
        write_device_templates(folder / "idn.onnx", folder / "device.zip")

    pin(packs / "open.toml", folder, size=size, head=head)


@torch.no_grad()
def write_cover(network: CoverNet, *, packs: Path = PACKS) -> None:
    """Write cover.onnx into `packs`/open and its SHA-256 into the manifests of both packs: the
    official one takes it from the open one.

    Raises ExportMismatchError when the graph does not agree with torch.
    """
    graph = export_cover(network.eval())
    random = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, COVER_SIZE, COVER_SIZE, generator=random)
    guide = torch.rand(1, GUIDE, COVER_SIZE, COVER_SIZE, generator=random)
    likely = torch.sigmoid(network(torch.cat([2 * image - 1, guide], 1)))
    compare(graph, {"image": image, "guide": guide}, {"cover": likely})

    path = packs / "open" / "cover.onnx"
    onnx.save(graph, path)

    # The cover network sees no identity, so that both packs use it.
    for manifest in (packs / "open.toml", packs / "official.toml"):
        manifest.write_text(_pinned(manifest.read_text(), path))


@torch.no_grad()
def check_open_graphs(
    idn: IDN, iim: OpenIIM, idn_graph: onnx.ModelProto, iim_graph: onnx.ModelProto, size: int
) -> None:
    """Compare both graphs with torch on one made-up identity and image.

    Raises ExportMismatchError.
    """
    # Fixed, so that a failure can be repeated.
    random = torch.Generator().manual_seed(0)
    embedding = F.normalize(torch.randn(1, iim.dimension, generator=random))
    weights = one_identity(iim(embedding), 0)
    compare(iim_graph, {"embedding": embedding}, weights)
    images = torch.rand(2, 1, 3, size, size, generator=random)
    face, mask = idn(images[0], weights, images[1])
    expected = {"face": face} | ({} if mask is None else {"mask": mask})
    inputs = {"target": images[0], "texture": images[1]}
    compare(idn_graph, inputs, expected, external=weights)


def pin(manifest: Path, folder: Path, *, size: int, head: str) -> None:
    """Write the SHA-256 of every committed file, the crop size and the head into a manifest,
    comments kept.
    """
    # The manifest is edited as text: a writer of TOML would lose the comments that explain it.
    text = re.sub(
        r'(\[swapper\][^\[]*?size = )\d+(\nhead = )"\w+"',
        rf'\g<1>{size}\g<2>"{head}"',
        manifest.read_text(),
    )

    for path in sorted(folder.iterdir()):
        text = _pinned(text, path)

    manifest.write_text(text)


def _pinned(manifest: str, path: Path) -> str:
    """Return the manifest's text with a committed file's SHA-256."""
    # Within the entry of that file: up to the next table, and no further.
    entry = re.compile(rf'(file = "{re.escape(path.name)}"[^\[]*?sha256 = )"\w*"')
    return entry.sub(rf'\g<1>"{hashlib.sha256(path.read_bytes()).hexdigest()}"', manifest)


def _rounded(network: OpenIIM) -> OpenIIM:
    """Return a copy in eval mode whose weights are what float16 keeps of them."""
    rounded = copy.deepcopy(network).eval()
    for parameter in rounded.parameters():
        parameter.data = parameter.data.half().float()
    return rounded
