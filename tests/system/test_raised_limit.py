"""A limit that the operator raises holds from the upload to the result: API and worker read one."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.material import SAMPLES
from tests.system.running_service import RunningService

# 42 megapixels: more than the 40 that are accepted unless an operator says otherwise.
WIDTH = 7000
HEIGHT = 6000
RAISED_PIXELS = 45_000_000
PORTRAIT_SIDE_PX = 1600  # a face that is large enough to be found in the whole image


@pytest.fixture(scope="module")
def raised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A stack of its own, whose operator allows larger images."""
    environment = {"LIKENESS_MAX_IMAGE_PIXELS": str(RAISED_PIXELS)}
    with RunningService(tmp_path_factory.mktemp("raised"), environment) as running:
        yield running


@pytest.fixture(scope="module")
def large_image() -> bytes:
    """A PNG over the shipped limit and below the raised one, with ben's face in its corner."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (120, 130, 140))
    portrait = Image.open(SAMPLES / "ben_neutral.jpg").convert("RGB")
    canvas.paste(portrait.resize((PORTRAIT_SIDE_PX, PORTRAIT_SIDE_PX)), (0, 0))

    # The fastest packing: the grey that fills the canvas packs well at any level.
    file = io.BytesIO()
    canvas.save(file, "PNG", compress_level=1)
    return file.getvalue()


def test_an_image_within_the_raised_limit_comes_out_swapped(
    raised: RunningService, large_image: bytes
) -> None:
    identity = raised.register(SAMPLES / "ada_neutral.jpg").json()["id"]
    upload = raised.upload(large_image, "image/png")
    assert upload.status_code == 201, upload.text

    accepted = raised.swap("image", upload.json()["id"], identity)
    assert accepted.status_code == 202, accepted.text
    job = raised.finished(accepted.json()["id"])

    assert job["status"] == "succeeded", job["error"]
    assert (job["result"]["width"], job["result"]["height"]) == (WIDTH, HEIGHT)
    result = raised.client.get(f"/v1/jobs/{job['id']}/result").content
    assert Image.open(io.BytesIO(result)).size == (WIDTH, HEIGHT)


def test_the_same_image_is_refused_where_no_limit_was_raised(
    service: RunningService, large_image: bytes
) -> None:
    refused = service.upload(large_image, "image/png")
    assert refused.status_code == 413, refused.text
    assert refused.json()["code"] == "media_too_large"
