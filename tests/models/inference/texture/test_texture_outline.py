from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.inference.mesh_points import BROWS, INNER_LIPS
from models.inference.texture.texture_outline import cleaned, without_shade

SKIN = (205, 165, 145)
HAIR = (50, 40, 35)
WALL = (205, 210, 212)
BRIGHT = (252, 212, 185)
BEARD = (110, 105, 100)
ANGLES = np.linspace(0, 2 * np.pi, 64, endpoint=False)
OUTLINE = (112 + 90 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)).astype(np.float32)


Colour = tuple[int, int, int]


@pytest.fixture
def texture() -> NDArray[np.uint8]:
    """A round face of plain skin before a grey wall."""
    canvas = np.full((224, 224, 3), WALL, np.uint8)
    return np.asarray(cv2.circle(canvas, (112, 112), 90, SKIN, -1), np.uint8)


@pytest.fixture
def mesh() -> NDArray[np.float32]:
    """The same round face as 468 points: eyes at 90, mouth at 150, nine pixels open."""
    points = np.full((468, 2), 112, np.float32)
    points[: len(OUTLINE)] = OUTLINE
    points[[33, 263]], points[[61, 291]] = (112, 90), (112, 150)
    across = np.linspace(0, 2 * np.pi, len(INNER_LIPS), endpoint=False)
    points[list(INNER_LIPS)] = np.stack(
        [112 - 20 * np.cos(across), 150 + 4.5 * np.sin(across)], axis=1
    )

    return points


def distance(texture: NDArray[np.uint8], x: int, y: int, colour: Colour) -> int:
    return int(np.abs(texture[y, x].astype(int) - colour).max())


def test_skin_goes_on_past_the_outline(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    assert distance(cleaned(texture, mesh), 206, 112, SKIN) < 6


@pytest.mark.parametrize(
    ("rows", "columns", "colour", "shown", "within"),
    [
        pytest.param((100, 124), (190, 203), WALL, SKIN, 12, id="a wall inside the outline goes"),
        # As dark as a beard, below the nose, where grey is kept.
        pytest.param((140, 160), (176, 192), (70, 95, 115), SKIN, 20, id="a blue one in shade"),
        # Grey, and no brighter than skin.
        pytest.param((150, 166), (176, 188), (186, 190, 194), SKIN, 12, id="one beside the jaw"),
        pytest.param(
            (100, 124), (180, 203), BRIGHT, BRIGHT, 12, id="a cheek in bright light stays"
        ),
        pytest.param((60, 84), (170, 190), HAIR, HAIR, 12, id="hair at the temple"),
        pytest.param((150, 166), (168, 184), BEARD, BEARD, 12, id="a dark beard beside the jaw"),
    ],
)
def test_what_is_of_the_face_stays_and_what_is_behind_it_goes(
    texture: NDArray[np.uint8],
    mesh: NDArray[np.float32],
    rows: tuple[int, int],
    columns: tuple[int, int],
    colour: Colour,
    shown: Colour,
    within: float,
) -> None:
    texture[slice(*rows), slice(*columns)] = colour
    # In the middle of the patch, which may reach past the outline: no further out than 196.
    x = min(sum(columns) // 2, 196)
    assert distance(cleaned(texture, mesh), x, sum(rows) // 2, shown) < within


def test_a_white_beard_on_the_chin_belongs_to_the_face(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    mesh[[61, 291], 0] = (86, 138)
    mesh[[10, 152]] = (112, 22), (112, 202)
    beard = (215, 212, 210)
    texture[170:198, 86:138] = beard
    assert distance(cleaned(texture, mesh), 112, 184, beard) < 12
    # The same beside the jaw is a collar.
    texture[150:190, 160:190] = beard
    assert distance(cleaned(texture, mesh), 176, 164, beard) > 25


def test_under_a_fringe_that_hangs_into_the_brows_the_forehead_is_skin(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    brows = [*BROWS[0], *BROWS[1]]
    mesh[brows] = np.stack([np.linspace(70, 154, len(brows)), np.full(len(brows), 78)], axis=1)
    mesh[[10, 152]] = (112, 22), (112, 202)
    texture[:80, 40:184] = HAIR

    assert distance(cleaned(texture, mesh), 112, 50, SKIN) < 25


def test_a_fringe_over_the_brows_leaves_brows_and_no_bar(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    across = np.linspace(64, 160, 10)
    for brow, columns in zip(BROWS, (across[:5], across[5:]), strict=True):
        mesh[list(brow[:5])] = np.stack([columns, np.full(5, 66)], axis=1)
        mesh[list(brow[:4:-1])] = np.stack([columns, np.full(5, 76)], axis=1)

    mesh[[10, 152]] = (112, 22), (112, 202)
    texture[:76, 40:184] = HAIR
    shown = cleaned(texture, mesh)

    assert distance(shown, 80, 64, SKIN) < 40
    # As dark as a brow, which lets skin through: a fringe's own black would be a bar.
    assert distance(shown, 80, 74, HAIR) < distance(shown, 80, 74, SKIN)


def test_hair_beside_a_cheek_becomes_skin(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    mesh[2] = (112, 130)
    texture[96:126, 186:203] = HAIR
    assert distance(cleaned(texture, mesh), 192, 110, SKIN) < 25


def test_nothing_of_a_face_lies_past_a_wall(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    beyond = (225, 150, 120)
    texture[96:128, 180:203] = beyond
    texture[96:128, 180:188] = WALL

    assert distance(cleaned(texture, mesh), 194, 112, SKIN) < 12


def test_a_white_beard_goes_on_beside_the_jaw(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    mesh[[61, 291], 0] = (86, 138)
    mesh[[2, 10, 152]] = (112, 130), (112, 22), (112, 202)
    beard = (215, 212, 210)
    texture[155:198, 60:164] = beard

    assert distance(cleaned(texture, mesh), 156, 166, beard) < 12


@pytest.mark.parametrize("shaven", [True, False])
def test_a_curl_beside_the_jaw_goes_and_a_dark_beard_stays(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32], shaven: bool
) -> None:
    mesh[[61, 291], 0] = (86, 138)
    mesh[[2, 10, 152]] = (112, 130), (112, 22), (112, 202)
    if not shaven:
        texture[160:200, 60:164] = HAIR
    texture[136:160, 180:193] = HAIR

    shown = cleaned(texture, mesh)
    assert (distance(shown, 187, 146, SKIN) < 40) == shaven


def test_the_middle_of_the_face_is_not_touched(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    texture[80:140, 80:140] = np.random.default_rng(0).integers(0, 255, (60, 60, 3), np.uint8)
    assert np.array_equal(cleaned(texture, mesh)[80:140, 80:140], texture[80:140, 80:140])


def test_teeth_become_lips(texture: NDArray[np.uint8], mesh: NDArray[np.float32]) -> None:
    lips = (170, 90, 90)
    teeth = (240, 240, 230)

    for colour, grown in ((lips, 9.0), (teeth, 0.0)):
        outline = mesh[list(INNER_LIPS)] + np.sign(mesh[list(INNER_LIPS)] - (112, 150)) * grown
        cv2.fillPoly(texture, [np.rint(outline).astype(np.int32)], colour)

    assert distance(texture, 112, 150, teeth) == 0
    assert distance(cleaned(texture, mesh), 112, 150, lips) < 12


def test_turned_heads_get_cheeks_without_shade_and_keep_their_hair(
    texture: NDArray[np.uint8], mesh: NDArray[np.float32]
) -> None:
    texture[50:75, 170:190] = HAIR
    shaded = texture.copy()
    shaded[110:160, 20:40] = (150, 118, 102)
    turned = without_shade(shaded, mesh)
    assert distance(turned, 30, 130, SKIN) < distance(shaded, 30, 130, SKIN) / 2
    assert distance(turned, 180, 62, HAIR) < 12
    assert np.array_equal(turned[100:130, 100:130], texture[100:130, 100:130])
