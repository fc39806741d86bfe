"""Prepares the training material once: crops, meshes, textures and embeddings of every face.

Run as `python -m models.training.material.prepare`: it reads the shared face crops and the
committed composite bank and writes the arrays of a `FaceSet` into `var/training/faces`. Rows
n..2n-1 are the mirror images of rows 0..n-1.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Landmarks, RgbImage, to_network
from models.inference.finding.face_mesh import FaceMesh
from models.inference.frames.affine import transform
from models.inference.session import SessionFactory
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.texture_outline import cleaned
from models.training.dataset import (
    ARRAYS,
    BANK,
    CANONICAL,
    CHIP_SIZE,
    centred,
    chip_matrix,
    mesh_in,
    mouth_height,
    read_rgb,
    shared_folder,
    swap_crop_matrix,
    warp,
)

log = logging.getLogger(__name__)

Array = NDArray[Any]

# A texel counts as seen from this weight on; the weight falls as its skin turns from the camera.
SEEN_WEIGHT = 0.3
INSIDE = 127  # of 255: more than half of a texel of the canonical face's mask


@dataclass(frozen=True)
class Portrait:
    """One image file: who it shows, in which set, and whether it may be trained on."""

    file: Path
    person: str
    origin: str
    split: str


def portraits(shared: Path, bank: Path = BANK) -> list[Portrait]:
    """Return all crop files, first the photographs of `shared`, then the composite bank (three
    poses a person).
    """
    with (shared / "data" / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    found = [
        Portrait(shared / "data/faces" / r["file"], r["person"], r["set"], r["split"]) for r in rows
    ]
    # Three files a person, one a pose, in the order of their names.
    composites = sorted(bank.glob("bank_*.jpg"))
    return found + [
        Portrait(path, f"bank{i // 3:03d}", "bank", "train") for i, path in enumerate(composites)
    ]


def portraits_of_clips(folder: Path) -> list[Portrait]:
    """Return the frames that `models.training.material.clips` wrote, none where it did not run.

    Those of one clip are photos of one person.
    """
    # The last four characters of a name count its frames.
    files = sorted(folder.glob("*.png"))
    return [Portrait(path, f"clip_{path.stem[:-4]}", "clips", "train") for path in files]


def prepare(faces: list[Portrait], graphs: Path, canonical: CanonicalFace, folder: Path) -> None:
    """Write the arrays of a `FaceSet`.

    `graphs` holds face_mesh.onnx and encoder.onnx of the open pack.
    """
    folder.mkdir(parents=True, exist_ok=True)
    factory = SessionFactory("cpu", 2)
    mesh_network = FaceMesh(factory.open(graphs / "face_mesh.onnx"))
    # The encoder's graph is called directly: its crop is the chip, which is cut here.
    encoder = factory.open(graphs / "encoder.onnx")
    columns: dict[str, list[Array]] = {name: [] for name in ARRAYS}

    for count, crop in enumerate(_with_mirrors(faces)):
        mesh = mesh_in(mesh_network, crop)
        for name, value in _describe(crop, mesh, canonical).items():
            columns[name].append(value)

        columns["embeddings"].append(
            encoder(to_network(warp(crop, chip_matrix(mesh), CHIP_SIZE)))["embedding"][0]
        )
        if count % 400 == 0:
            log.info("preparing faces", extra={"done": count, "total": 2 * len(faces)})

    arrays = {name: np.stack(values) for name, values in columns.items()}
    _save(folder, faces, arrays, canonical)


# All faces first, then all mirror images: row n + k mirrors row k.
def _with_mirrors(faces: list[Portrait]) -> Iterator[RgbImage]:
    for mirrored in (False, True):
        for face in faces:
            image = read_rgb(face.file)
            yield np.ascontiguousarray(image[:, ::-1]) if mirrored else image


def _describe(crop: RgbImage, mesh: Landmarks, canonical: CanonicalFace) -> dict[str, Array]:
    to_crop = swap_crop_matrix(mesh)
    texture = canonical.texture(crop, mesh)
    pixels = cleaned(texture.pixels, canonical.mesh[:, :2] * canonical.scale + canonical.offset)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 2))[canonical.mask > INSIDE].mean()

    return {
        "crops": crop,
        "meshes": transform(mesh, to_crop),
        "to_crop": to_crop,
        "textures": pixels,
        "weights": np.asarray(
            (texture.weight[canonical.mask > INSIDE] > SEEN_WEIGHT).mean(), np.float32
        ),
        "sharpness": np.asarray(detail, np.float32),
    }


def _save(
    folder: Path, faces: list[Portrait], arrays: dict[str, Array], canonical: CanonicalFace
) -> None:
    splits = np.array([face.split for face in faces] * 2)
    trained_on = splits == "train"
    mean = arrays["embeddings"][trained_on if trained_on.any() else ...].mean(0)
    arrays["embeddings"] = centred(arrays["embeddings"], mean)

    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)

    np.savez(
        folder / "labels.npz",
        embedding_mean=mean,
        yaws=np.array([canonical.yaw_deg(mesh) for mesh in arrays["meshes"]], np.float32),
        openings=np.array([mouth_height(mesh) for mesh in arrays["meshes"]], np.float32),
        persons=np.array([face.person for face in faces] * 2),
        origins=np.array([face.origin for face in faces] * 2),
        splits=splits,
    )


def main() -> None:
    """Prepare the faces from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--graphs", type=Path, default=Path("var/packs/open"), help="folder of the pulled open pack"
    )
    parser.add_argument("--out", type=Path, default=Path("var/training/faces"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s %(done)s/%(total)s")
    found = portraits(shared_folder()) + portraits_of_clips(arguments.out.parent / "clips")
    prepare(found, arguments.graphs, CanonicalFace.load(CANONICAL), arguments.out)


if __name__ == "__main__":
    main()
