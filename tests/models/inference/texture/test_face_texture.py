"""Textures taken from composite faces and placed on others: geometry, light, mouth and
surroundings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.inference.arrays import Landmarks, RgbImage
from models.inference.finding.alignment import align
from models.inference.finding.face_mesh import FaceMesh, RegionOfInterest
from models.inference.frames.affine import transform
from models.inference.frames.image_frame import ImageFrame
from models.inference.session import SessionFactory
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.fusion import Texture, fuse
from models.inference.texture.placed import mouth_opening
from models.packs.store import Pack
from tests.material import BANK


@dataclass(frozen=True)
class Face:
    crop: RgbImage
    mesh: Landmarks
    photo: RgbImage
    photo_mesh: Landmarks


@pytest.fixture(scope="module")
def canonical(open_pack: Pack) -> CanonicalFace:
    return CanonicalFace.load(open_pack.canonical)


@pytest.fixture(scope="module")
def faces(open_pack: Pack, canonical: CanonicalFace) -> list[Face]:
    """Two people of the bank, each frontal and turned."""
    network = FaceMesh(SessionFactory("cpu", 1).open(open_pack.graph("face_mesh")))
    return [_face(network, canonical, BANK / f"bank_{index:04d}.jpg") for index in (0, 1, 30, 31)]


def _face(network: FaceMesh, canonical: CanonicalFace, path: Path) -> Face:
    photo = cv2.imread(str(path))
    region = RegionOfInterest(144, 178, 270, 0)
    first = network.look(ImageFrame(photo), region)
    mesh = network.look(ImageFrame(photo), RegionOfInterest.of_landmarks(first.landmarks)).landmarks
    to_crop = align(mesh, "similarity")
    to_crop[:, 2] += canonical.crop_shift
    rgb = np.ascontiguousarray(photo[..., ::-1])

    return Face(cv2.warpAffine(rgb, to_crop, (224, 224)), transform(mesh, to_crop), rgb, mesh)


def _texture(canonical: CanonicalFace, face: Face) -> RgbImage:
    return canonical.texture(face.photo, face.photo_mesh, sharpen=0.0).pixels


def test_a_face_placed_on_itself_is_that_face(canonical: CanonicalFace, faces: list[Face]) -> None:
    for face in faces:
        placed = canonical.place(_texture(canonical, face), face.mesh, face.crop, face.mesh)
        error = np.abs(placed.texture.astype(float) - face.crop)[placed.mask > 0.9]
        assert error.mean() < 4


def test_outside_the_mask_the_placed_texture_is_the_target(
    canonical: CanonicalFace, faces: list[Face]
) -> None:
    placed = canonical.place(
        _texture(canonical, faces[0]), faces[0].mesh, faces[2].crop, faces[2].mesh
    )
    assert np.array_equal(placed.texture[placed.mask == 0], faces[2].crop[placed.mask == 0])
    assert placed.mask[0].max() == placed.mask[:, 0].max() == placed.mask[-1].max() == 0


def test_the_mask_holds_the_chin(canonical: CanonicalFace, faces: list[Face]) -> None:
    face = faces[0]
    placed = canonical.place(_texture(canonical, face), face.mesh, face.crop, face.mesh)
    x, y = np.rint(face.mesh[152] - (0, 12)).astype(int)
    assert placed.mask[y, x] > 0.8


def test_the_inside_of_an_open_mouth_stays_the_targets(
    canonical: CanonicalFace, faces: list[Face]
) -> None:
    face = faces[0]
    opened = face.mesh.copy()
    opened[[14, 87, 178, 88, 95, 317, 402, 318, 324]] += (0, 14)
    placed = canonical.place(_texture(canonical, faces[2]), faces[2].mesh, face.crop, opened)
    inside = placed.mouth > 0.99
    assert inside.sum() > 50
    assert np.abs(placed.texture.astype(int) - face.crop)[inside].max() <= 3


def test_of_a_closed_mouth_only_the_line_stays_the_targets(faces: list[Face]) -> None:
    closed = faces[0].mesh.copy()
    upper = [191, 80, 81, 82, 13, 312, 311, 310, 415]
    lower = [95, 88, 178, 87, 14, 317, 402, 318, 324]
    closed[lower] = closed[upper]
    opening = mouth_opening(closed)
    x, y = closed[13].round().astype(int)
    assert opening[y, x] > 0.5
    assert opening[y - 5, x] < 0.05
    assert opening[y + 5, x] < 0.05


def test_the_texture_takes_on_the_targets_light(
    canonical: CanonicalFace, faces: list[Face]
) -> None:
    texture = _texture(canonical, faces[0])
    dark = (faces[2].crop * 0.5).astype(np.uint8)
    placed = canonical.place(texture, faces[0].mesh, dark, faces[2].mesh)
    inside = placed.mask > 0.9
    assert abs(placed.texture[inside].mean() - dark[inside].mean()) < 4


def test_a_grey_target_gets_a_grey_face(canonical: CanonicalFace, faces: list[Face]) -> None:
    grey = np.repeat(cv2.cvtColor(faces[2].crop, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    placed = canonical.place(_texture(canonical, faces[0]), faces[0].mesh, grey, faces[2].mesh)
    assert np.ptp(placed.texture.astype(int), axis=2).mean() < 2


def test_a_soft_video_gets_a_soft_face_and_a_sharp_one_a_sharp_face(
    canonical: CanonicalFace, faces: list[Face]
) -> None:
    texture = _texture(canonical, faces[0])
    soft = cv2.GaussianBlur(faces[2].crop, (0, 0), 2.0)
    sharp, softened = (
        canonical.place(texture, faces[0].mesh, c, faces[2].mesh) for c in (faces[2].crop, soft)
    )
    middle = np.s_[70:160, 70:160]
    details = [_detail(placed.texture[middle]) for placed in (sharp, softened)]
    assert details[1] < 0.75 * details[0]
    assert 0.8 < details[0] / _detail(faces[2].crop[middle]) < 1.6


def _detail(image: RgbImage) -> float:
    grey = image.astype(np.float32).mean(2)
    return float(np.abs(grey - cv2.blur(grey, (3, 3))).mean())


def test_a_turned_head_is_measured_and_does_not_look_like_other_proportions(
    canonical: CanonicalFace, faces: list[Face]
) -> None:
    turn = np.radians(25)
    rotation = np.array(
        [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    )
    centre = canonical.mesh.mean(axis=0)
    turned = ((canonical.mesh - centre) @ rotation.T + centre)[:, :2].astype(np.float32)
    assert abs(canonical.yaw_deg(turned) - 25) < 1
    assert np.abs(canonical.proportions(turned)).max() < 0.1


def test_several_photos_fuse_by_how_frontally_they_show_a_texel() -> None:
    left = np.tile(np.linspace(1, 0, 224, dtype=np.float32), (224, 1))
    images = [np.full((224, 224, 3), level, np.uint8) for level in (100, 100)]
    images[0][:, 150:160] = 0  # a fault where the other photo sees better
    fused = fuse([Texture(images[0], left), Texture(images[1], left[:, ::-1])])
    assert fused[:, 150:160].min() > 80


def test_one_photo_is_its_own_texture() -> None:
    pixels = np.arange(224 * 224 * 3, dtype=np.uint32).astype(np.uint8).reshape(224, 224, 3)
    assert np.array_equal(fuse([Texture(pixels, np.ones((224, 224), np.float32))]), pixels)


def test_the_networks_doubt_hides_a_part_of_the_face(
    canonical: CanonicalFace, faces: list[Face]
) -> None:
    placed = canonical.place(
        _texture(canonical, faces[0]), faces[0].mesh, faces[0].crop, faces[0].mesh
    )
    sure = np.full((224, 224), 0.95, np.float32)
    doubtful = np.zeros((224, 224), np.float32)
    assert np.array_equal(placed.shaped(sure), placed.mask)
    assert placed.shaped(doubtful).max() == 0


def test_fused_photos_are_as_sharp_as_the_best_of_them() -> None:
    images = [
        np.random.default_rng(seed).integers(60, 200, (224, 224, 3)).astype(np.uint8)
        for seed in range(4)
    ]
    weights = [np.full((224, 224), level, np.float32) for level in (1.0, 0.98, 0.97, 0.96)]
    fused = fuse([Texture(pixels, weight) for pixels, weight in zip(images, weights, strict=True)])
    assert fused.astype(np.float32).std() > 0.9 * images[0].astype(np.float32).std()
