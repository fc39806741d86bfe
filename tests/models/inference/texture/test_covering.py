"""What the cover network sees in a photo: hair goes off a texture, glasses stay on it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from models.inference.arrays import BgrImage, Landmarks, Mask, RgbImage
from models.inference.engine import FaceSwapEngine
from models.inference.frames.image_frame import ImageFrame
from models.inference.mesh_points import BROWS
from models.inference.painting.photo_face import PhotoFace
from models.inference.texture.covering import Covering, glasses_of, of_all
from models.inference.texture.face_texture import CanonicalFace
from models.inference.texture.fusion import fuse
from models.inference.texture.texture_outline import cleaned, texture_mesh
from models.training.dataset import CANONICAL
from tests.models.demo_media import portrait

SKIN = (205, 165, 145)
FAIR_HAIR = (210, 172, 130)  # no darker than skin
DARK_HAIR = (120, 95, 85)  # a temple in the shade is no lighter
BROW = (70, 50, 45)


@pytest.fixture(scope="module")
def mesh() -> Landmarks:
    return texture_mesh(CanonicalFace.load(CANONICAL))


def skin() -> RgbImage:
    return np.full((224, 224, 3), SKIN, np.uint8)


def covering(
    hair: tuple[slice, slice] | None = None, glasses: tuple[slice, slice] | None = None
) -> Covering:
    return Covering(hair=shown(hair), glasses=shown(glasses))


def shown(where: tuple[slice, slice] | None) -> Mask:
    plane = np.zeros((224, 224), np.float32)
    if where is not None:
        plane[where] = 1

    return plane


def off(texture: RgbImage, where: tuple[slice, slice], colour: tuple[int, int, int]) -> float:
    return float(np.abs(texture[where].astype(int) - colour).max())


@pytest.mark.parametrize("colour", [FAIR_HAIR, DARK_HAIR])
def test_hair_that_colour_cannot_tell_is_taken_off(
    mesh: Landmarks, colour: tuple[int, int, int]
) -> None:
    fringe = (slice(0, 50), slice(0, 112))
    texture = skin()
    texture[fringe] = colour
    within = (slice(20, 40), slice(60, 100))

    assert off(cleaned(texture, mesh, covering(fringe)), within, SKIN) < 8
    assert off(cleaned(texture, mesh, covering()), within, colour) < 8


def test_a_network_that_takes_all_of_a_face_for_hair_is_not_believed(mesh: Landmarks) -> None:
    everywhere = covering(hair=(slice(0, 224), slice(0, 224)))
    assert off(cleaned(skin(), mesh, everywhere), (slice(40, 180), slice(60, 160)), SKIN) < 4


def test_the_shadow_of_hair_goes_with_it(mesh: Landmarks) -> None:
    fringe = (slice(0, 40), slice(0, 224))
    texture = skin()
    shade = np.linspace(0.65, 1, 14)[:, None, None]
    texture[40:54] = (texture[40:54] * shade).astype(np.uint8)
    texture[fringe] = DARK_HAIR
    shown = cleaned(texture, mesh, covering(fringe))

    # Next to the hair the shadow takes a third; where it stays, a sixth of it is still seen.
    assert SKIN[0] - int(shown[24:60, 112, 0].min()) < 0.15 * SKIN[0]


def test_the_end_of_a_brow_under_a_curl_is_the_other_brows(mesh: Landmarks) -> None:
    texture = skin()
    for brow in BROWS:
        hull = cv2.convexHull(np.rint(mesh[list(brow)]).astype(np.int32))
        cv2.fillConvexPoly(texture, hull, BROW)

    seen = texture.copy()
    end = int(mesh[list(BROWS[0]), 0].min()) + 8
    curl = (slice(0, 110), slice(0, end))
    texture[curl] = (60, 45, 40)
    shown = cleaned(texture, mesh, covering(curl))
    row = int(mesh[list(BROWS[0]), 1].mean())
    filled = shown[row - 8 : row + 8, end - 4, 0]

    # At least half as dark as the other's, and skin above it.
    assert filled.min() < (SKIN[0] + int(seen[row, end + 20, 0])) / 2 + 25
    assert np.abs(shown[row - 16, end - 4].astype(int) - SKIN).max() < 20


def test_glasses_stay_whole_up_to_the_rim(mesh: Landmarks) -> None:
    row = int(mesh[[33, 263], 1].mean())
    frame = (slice(row - 3, row + 1), slice(0, 60))
    texture = skin()
    texture[frame] = (15, 12, 10)
    end = (slice(row - 2, row), slice(32, 40))

    assert off(cleaned(texture, mesh, covering(glasses=frame)), end, (15, 12, 10)) < 30
    assert off(cleaned(texture, mesh, covering()), end, (15, 12, 10)) > 60


def test_glasses_reach_as_far_on_both_sides() -> None:
    found = glasses_of(covering(glasses=(slice(60, 80), slice(20, 40))), np.zeros((224, 224)))

    assert found[70, [30, 193]].all()
    assert not glasses_of(None, np.zeros((224, 224), np.float32)).any()


def test_hair_that_one_photo_lacks_does_not_cover_a_texture_of_both() -> None:
    left = covering(hair=(slice(0, 50), slice(0, 112)), glasses=(slice(60, 80), slice(20, 90)))
    right = covering(hair=(slice(0, 50), slice(60, 224)))
    both = of_all([left, right])

    assert both.hair[10, [20, 80, 200]].tolist() == [0, 1, 0]
    assert both.glasses[70, 50] == 1


def test_what_hair_hides_in_one_photo_another_shows(engine: FaceSwapEngine) -> None:
    bare = face_of(engine, portrait("ben_neutral"))
    where = (slice(20, 50), slice(70, 154))
    painted = bare.texture.pixels.copy()
    painted[where] = (40, 90, 40)
    fringed = replace(
        bare,
        texture=replace(bare.texture, pixels=painted),
        covering=covering(hair=where),
    )

    fused = fuse([bare.bare, fringed.bare])
    inside = (slice(28, 42), slice(80, 144))
    assert np.abs(fused[inside].astype(int) - bare.texture.pixels[inside]).mean() < 12


def test_hair_drawn_down_over_a_composites_forehead_is_seen_and_taken_off(
    engine: FaceSwapEngine,
) -> None:
    photo = with_hair_down(engine, portrait("dev_neutral"))
    forehead = (slice(12, 30), slice(80, 144))
    read = face_of(engine, photo)
    assert read.covering is not None
    assert (read.covering.hair[forehead] > 0.5).mean() > 0.3

    texture = engine.register([photo]).code.texture
    assert texture is not None
    cheek = np.median(read.texture.pixels[110:140, 60:80].reshape(-1, 3), axis=0)
    before = np.abs(read.texture.pixels[forehead] - cheek).mean()
    assert np.abs(texture[forehead] - cheek).mean() < 0.6 * before


def with_hair_down(engine: FaceSwapEngine, photo: BgrImage) -> BgrImage:
    """Return the portrait with the hair above its forehead stretched down towards the brows."""
    landmarks = engine.detect(photo)[0].landmarks
    top = float(landmarks[10, 1])
    reach = 0.8 * (float(landmarks[[105, 334], 1].min()) - top)
    first = top - 2 * reach - 10
    rows = np.arange(photo.shape[0], dtype=np.float32)
    hair = (rows > first) & (rows < top + reach)
    rows[hair] = first + (rows[hair] - first) * (top - 8 - first) / (top + reach - first)
    columns = np.arange(photo.shape[1], dtype=np.float32)
    x, y = np.meshgrid(columns, rows)

    return np.asarray(cv2.remap(photo, x, y, cv2.INTER_LINEAR), np.uint8)


def face_of(engine: FaceSwapEngine, photo: BgrImage) -> PhotoFace:
    reader = engine.painter.photo_reader(engine.iris)
    assert reader is not None
    return reader.read(ImageFrame(photo), engine.detect(photo)[0].landmarks)
