"""The training material, prepared once: crops, meshes, canonical textures and embeddings of every
face and its mirror.

Run as `python -m models.training.dataset`: it reads the shared face crops and the committed
composite bank and writes arrays into `var/training/faces`. Rows n..2n-1 are the mirror images of
rows 0..n-1.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.inference.arrays import Affine, Landmarks, RgbImage, to_network
from models.inference.finding.alignment import align
from models.inference.finding.face_mesh import FaceMesh, RegionOfInterest
from models.inference.frames.affine import compose, invert, transform
from models.inference.frames.still_frame import StillFrame
from models.inference.session import SessionFactory
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.texture_outline import cleaned

log = logging.getLogger(__name__)

Array = NDArray[Any]

CANVAS = 288  # a crop file: the 224 px template and a margin
MARGIN = 32
SWAP_SHIFT = (
    0.0,
    -28.0,
)  # the open pack's swap crop lies lower than ArcFace's, so that the chin is in it
FACE_REGION = RegionOfInterest(144, 178, 270, 0)  # where every crop file shows its face
CHIP_SIZE = 150
# docs/method.md 9: from an ArcFace crop of 112 px to dlib's chip; here from the 224 px template.
CHIP_OF_TEMPLATE: Affine = np.array(
    [[1.5004 / 2, -0.0317 / 2, -6.8207], [0.0317 / 2, 1.5004 / 2, -34.6448]], np.float64
)
BANK = Path(__file__).parents[1] / "refinement" / "bank"
CANONICAL = Path(__file__).parents[1] / "packs" / "open" / "canonical_face.npz"

_ARRAYS = ("crops", "meshes", "to_crop", "textures", "weights", "embeddings", "sharpness")


@dataclass(frozen=True)
class Portrait:
    """One image file: who it shows, in which set, and whether it may be trained on."""

    file: Path
    person: str
    origin: str
    split: str


def shared_folder() -> Path:
    """Return the folder with the measuring material: $LIKENESS_SHARED, or `shared` beside the
    checkout.
    """
    return Path(os.environ.get("LIKENESS_SHARED", Path(__file__).parents[3] / "shared"))


def portraits(shared: Path, bank: Path = BANK) -> list[Portrait]:
    """Return all crop files, first the photographs of `shared`, then the composite bank (three
    poses a person).
    """
    with (shared / "data" / "faces.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    found = [
        Portrait(shared / "data/faces" / r["file"], r["person"], r["set"], r["split"]) for r in rows
    ]
    composites = sorted(bank.glob("bank_*.jpg"))
    return found + [
        Portrait(path, f"bank{i // 3:03d}", "bank", "train") for i, path in enumerate(composites)
    ]


def portraits_of_clips(folder: Path) -> list[Portrait]:
    """Return the frames that `models.training.clips` wrote, or nothing where it has not been run.

    Those of one clip are photos of one person.
    """
    files = sorted(folder.glob("*.png"))
    return [Portrait(path, f"clip_{path.stem[:-4]}", "clips", "train") for path in files]


def swap_crop_matrix(mesh: Landmarks) -> Affine:
    """Return the matrix from an image to the open pack's 224 px swap crop of the face with this
    mesh.
    """
    matrix = align(mesh, "similarity")
    matrix[:, 2] += SWAP_SHIFT
    return matrix


def chip_matrix(mesh: Landmarks) -> Affine:
    """Return the matrix from an image to dlib's 150 px chip of the face with this mesh."""
    return compose(CHIP_OF_TEMPLATE, align(mesh, "similarity"))


@dataclass(frozen=True)
class FaceSet:
    """Prepared faces, one row each, mirrored ones behind.

    crops uint8 [2n, 288, 288, 3] RGB; meshes float32 [2n, 468, 2] in the swap crop; to_crop [2n, 2,
    3] from crop file to swap crop; textures uint8 [2n, 224, 224, 3]; weights [2n]: share of texels
    seen frontally; embeddings float32 [2n, 128] centred by `embedding_mean`, L2 norm 1; yaws [2n]
    degrees; persons, origins, splits str [2n].
    """

    crops: Array
    meshes: Array
    to_crop: Array
    textures: Array
    weights: Array
    embeddings: Array
    sharpness: Array
    embedding_mean: Array
    yaws: Array
    openings: Array
    persons: Array
    origins: Array
    splits: Array

    @classmethod
    def load(cls, folder: Path) -> FaceSet:
        """Map the arrays `prepare` wrote. Raises FileNotFoundError when it has not been run."""
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("crops", "textures")
        }
        arrays |= {name: np.load(folder / f"{name}.npy") for name in _ARRAYS if name not in arrays}

        with np.load(folder / "labels.npz", allow_pickle=False) as labels:
            return cls(**arrays, **dict(labels))

    @cached_property
    def rows_of(self) -> dict[str, NDArray[np.intp]]:
        """Person -> rows, mirrored ones included."""
        return {
            str(person): np.flatnonzero(self.persons == person)
            for person in np.unique(self.persons)
        }

    @property
    def training_rows(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.splits == "train")

    @property
    def evaluation_rows(self) -> NDArray[np.intp]:
        """Rows that are never trained on, without their mirror images."""
        rows = np.flatnonzero(self.splits == "eval")
        return rows[rows < len(self.persons) // 2]

    def swap_crop(self, row: int, change: Affine | None = None) -> RgbImage:
        """Return a face's 224 px swap crop, moved by `change` (crop to crop) if there is one."""
        matrix = self.to_crop[row] if change is None else compose(change, self.to_crop[row])
        return warp(self.crops[row], matrix, 224)


def warp(image: RgbImage, matrix: Affine, size: int) -> RgbImage:
    """Return the size x size crop that `matrix` maps an image to.

    Its edge is continued outwards.
    """
    moved = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def prepare(faces: list[Portrait], graphs: Path, canonical: CanonicalFace, folder: Path) -> None:
    """Write the arrays of a `FaceSet`.

    `graphs` holds face_mesh.onnx and encoder.onnx of the open pack.
    """
    folder.mkdir(parents=True, exist_ok=True)
    factory = SessionFactory("cpu", 2)
    mesh_network = FaceMesh(factory.open(graphs / "face_mesh.onnx"))
    encoder = factory.open(graphs / "encoder.onnx")
    columns: dict[str, list[Array]] = {name: [] for name in _ARRAYS}

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


def _with_mirrors(faces: list[Portrait]) -> Iterator[RgbImage]:
    for mirrored in (False, True):
        for face in faces:
            image = read_rgb(face.file)
            yield np.ascontiguousarray(image[:, ::-1]) if mirrored else image


def read_rgb(path: Path) -> RgbImage:
    """Return an image file as RGB. Raises FileNotFoundError when it is missing or no image."""
    image = cv2.imread(str(path))
    if image is None:
        raise FileNotFoundError(path)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def mesh_in(network: FaceMesh, crop: RgbImage) -> Landmarks:
    """Return the mesh of the face in a 288 px crop file, in its pixels.

    Looked at three times, as tracking settles.
    """
    frame = StillFrame(np.ascontiguousarray(crop[..., ::-1]))
    region = FACE_REGION

    for _ in range(2):
        region = RegionOfInterest.of_landmarks(network.look(frame, region).landmarks)

    return network.look(frame, region).landmarks


def _describe(crop: RgbImage, mesh: Landmarks, canonical: CanonicalFace) -> dict[str, Array]:
    to_crop = swap_crop_matrix(mesh)
    texture = canonical.texture(crop, mesh)
    pixels = cleaned(texture.pixels, canonical.mesh[:, :2] * canonical.scale + canonical.offset)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 2))[canonical.mask > 127].mean()

    return {
        "crops": crop,
        "meshes": transform(mesh, to_crop),
        "to_crop": to_crop,
        "textures": pixels,
        "weights": np.asarray((texture.weight[canonical.mask > 127] > 0.3).mean(), np.float32),
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


def centred(embeddings: Array, mean: Array | float = 0.0) -> Array:
    """Return embeddings [n, D] minus the training mean, each of L2 norm one."""
    moved = embeddings - mean
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True), np.float32)


def mouth_height(mesh: Landmarks) -> float:
    """Return how far the inner lips stand apart, in pixels."""
    return float(np.linalg.norm(mesh[13] - mesh[14]))


def to_canvas(mesh: Landmarks, to_crop: Affine) -> Landmarks:
    """Return a swap-crop mesh in pixels of the crop file."""
    return transform(mesh, invert(to_crop))


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
