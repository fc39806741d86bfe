"""Makes the official pack from the checkpoints that a user brings (docs/method.md 7): checked,
converted, compared.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F

from models.export.arcface_to_onnx import export_arcface
from models.export.comparison import compare
from models.export.idn_to_onnx import export_idn
from models.export.iim_to_onnx import export_conditioner
from models.export.paddle_checkpoint import Arrays, load_into, read_checkpoint
from models.networks.arcface import SIZE, ArcFace
from models.networks.idn import IDN
from models.networks.iim import Conditioner, one_identity
from models.packs.errors import CheckpointError
from models.packs.installation import new_installation
from models.packs.manifest import Archive, Manifest
from models.packs.pull import manifest_text
from models.packs.store import Pack, load_pack

ENCODER_TOLERANCE = 1e-4  # a hundred layers of float32 sums in another order

Report = Callable[[str], None]


def import_official(
    source: Path, root: Path, *, manifest: str | None = None, report: Report = print
) -> Pack:
    """Install the official pack below `root` from `source`: checkpoints.tar, or the folder it
    unpacks to.

    Detector and face mesh are those of the open pack, which must be installed. `manifest` (default:
    official.toml) states the size and SHA-256 of the checkpoints. Raises `PackError`, or
    ExportMismatchError.
    """
    text = manifest_text("official") if manifest is None else manifest
    parsed = Manifest.parse(text)
    # Detector and mesh are the open pack's: the official weights bring none that may be used.
    open_pack = load_pack("open", root)
    report(parsed.notice)

    with new_installation(text, root) as folder:
        # Nothing is written before the graphs agree with the networks they were made of.
        for role, graph in _graphs(
            source, {archive.name: archive for archive in parsed.archives}, report
        ).items():
            onnx.save(graph, folder / f"{role}.onnx")

        for file in parsed.files:
            if not (folder / file.file).exists():
                shutil.copyfile(open_pack.root / file.file, folder / file.file)

    pack = load_pack(parsed.name, root)
    report(f"pack {pack.id} is ready in {root}")
    return pack


def _graphs(
    source: Path, archives: dict[str, Archive], report: Report
) -> dict[str, onnx.ModelProto]:
    report(f"reading {archives['conditioner'].file}")
    conditioner, idn = conditioner_and_idn(_checkpoint(source, archives["conditioner"]))
    graphs = {"iim": export_conditioner(conditioner), "idn": export_idn(idn)}
    report(f"reading {archives['arcface'].file}")
    arcface = arcface_of(_checkpoint(source, archives["arcface"]))
    graphs["encoder"] = export_arcface(arcface)
    report("comparing the graphs with the networks")
    _compare(arcface, conditioner, idn, graphs)

    return graphs


def conditioner_and_idn(arrays: Arrays) -> tuple[Conditioner, IDN]:
    """Return both networks of MobileFaceSwap_224.pdparams, which holds the IDN's shared heads
    too.
    """
    conditioner = Conditioner().eval()
    idn = IDN(3, "paper").eval()
    _require_all(arrays, load_into(conditioner, arrays) | load_into(idn, arrays))

    return conditioner, idn


def arcface_of(arrays: Arrays) -> ArcFace:
    """Return the identity encoder of arcface.pdparams."""
    network = ArcFace().eval()
    _require_all(arrays, load_into(network, arrays))
    return network


def _require_all(arrays: Arrays, used: set[str]) -> None:
    # A tensor that nothing uses means that the network is not the one that was trained.
    extra = sorted(set(arrays) - used)
    if extra:
        raise CheckpointError(
            f"the checkpoint holds {len(extra)} tensors that belong nowhere, {extra[0]} among them"
        )


def _checkpoint(source: Path, archive: Archive) -> Arrays:
    data = _from_tar(source, archive) if source.is_file() else _from_folder(source, archive)
    return read_checkpoint(data, size=archive.bytes, sha256=archive.sha256)


def _from_folder(source: Path, archive: Archive) -> bytes:
    for path in sorted(source.rglob(archive.file)):
        # The size tells the file from others of its name before a byte of it is read.
        if path.stat().st_size == archive.bytes:
            return path.read_bytes()
    raise CheckpointError(f"{source} holds no {archive.file} of {archive.bytes:,} bytes")


def _from_tar(source: Path, archive: Archive) -> bytes:
    try:
        # Members are read one by one and never written: a tar may name any path.
        with tarfile.open(source) as tar:
            for member in tar:
                if (
                    member.isfile()
                    and Path(member.name).name == archive.file
                    and member.size == archive.bytes
                ):
                    stream = tar.extractfile(member)
                    return stream.read() if stream else b""
    except tarfile.TarError as error:
        raise CheckpointError(f"{source} is not a tar archive: {error}") from error

    raise CheckpointError(f"{source} holds no {archive.file} of {archive.bytes:,} bytes")


@torch.no_grad()
def _compare(
    arcface: ArcFace, conditioner: Conditioner, idn: IDN, graphs: dict[str, onnx.ModelProto]
) -> None:
    # Random weights would do; a random image does, since every layer must agree on it.
    random = torch.Generator().manual_seed(0)
    crop = torch.rand(1, 3, SIZE, SIZE, generator=random)
    feature_map, embedding = arcface(crop)
    encoded = {"feature_map": feature_map, "embedding": embedding}
    compare(graphs["encoder"], {"image": crop}, encoded, tolerance=ENCODER_TOLERANCE)
    weights = one_identity(conditioner(feature_map, embedding), 0)
    compare(graphs["iim"], encoded, weights)
    # The size that the official generator was trained at.
    target = F.interpolate(crop, size=224)
    face, mask = idn(target, weights)
    compare(graphs["idn"], {"target": target}, {"face": face, "mask": mask}, external=weights)
