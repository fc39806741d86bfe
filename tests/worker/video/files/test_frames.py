"""Rows three to five of the video contract (docs/video.md): orientation, pixel shape, colours, bit
depth, odd sizes, B-frames.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.worker.video.material.filtered import filter_video, probed
from tests.worker.video.material.samples import SOLO, frames_of, mean_error, rgb, times_of
from tests.worker.video.material.written import SourceVideo, steady, write
from worker.video.encoder import EncoderSettings
from worker.video.frames.frame_format import fitted_size
from worker.video.frames.orientation import Orientation
from worker.video.frames.tone_map import BT2020_TO_BT709, REFERENCE_WHITE_NITS, to_sdr

SIZE = (320, 180)
BASE = Fraction(1, 15_360)


def source_video(count: int = 6, size: tuple[int, int] = SIZE, **properties: object) -> SourceVideo:
    return SourceVideo(
        frames_of(SOLO, count=count, size=size),
        steady(count, Fraction(30), BASE),
        BASE,
        **properties,
    )


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_comes_out_upright_and_of_the_shape_it_was_seen_in(
    tmp_path: Path, rotation: int
) -> None:
    source = write(tmp_path / "in.mp4", source_video(rotation=rotation))
    filtered = filter_video(source, tmp_path / "out")
    seen = probed(source)
    written = probed(filtered.path)
    assert (written.width, written.height) == (seen.width, seen.height)
    assert (seen.width, seen.height) == (SIZE if rotation == 180 else SIZE[::-1])
    assert filtered.swapper.sizes == {(seen.width, seen.height)}  # the detector gets upright frames
    assert written.orientation.is_upright
    assert mean_error(rgb(filtered.path), rgb(source)) < 3


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_orientation_reads_any_display_matrix(turns: int, mirrored: bool) -> None:
    right = np.array([1, 0])
    down = np.array([0, 1])

    for _ in range(turns):  # counter-clockwise as seen, y pointing down: right becomes up
        right = np.array([right[1], -right[0]])
        down = np.array([down[1], -down[0]])

    if mirrored:
        right = -right

    matrix = np.array([right[0], right[1], 0, down[0], down[1], 0, 0, 0, 16_384], np.int32) * 65_536
    orientation = Orientation.from_matrix(matrix)
    plane = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert orientation == Orientation(turns, mirrored)
    expected = np.rot90(plane[:, ::-1] if mirrored else plane, turns)
    assert np.array_equal(orientation.apply(plane), expected)


@pytest.mark.parametrize("rotation", [None, 90])
@pytest.mark.parametrize(
    ("aspect", "size", "squared"),
    [
        (Fraction(4, 3), (426, 180), True),
        (Fraction(8, 9), (320, 202), True),
        (Fraction(45, 44), (320, 180), False),
    ],
)
def test_anamorphic_videos_keep_their_shape_and_get_square_pixels(
    tmp_path: Path, rotation: int | None, aspect: Fraction, size: tuple[int, int], squared: bool
) -> None:
    kept = Fraction(1) if squared else aspect
    source = source_video(attributes={"sample_aspect_ratio": aspect}, rotation=rotation)
    filtered = filter_video(write(tmp_path / "in.mp4", source), tmp_path / "out")
    written = probed(filtered.path)

    assert (written.width, written.height) == (size[::-1] if rotation else size)
    assert written.pixel_aspect == (1 / kept if rotation else kept)
    assert ("pixels_made_square" in filtered.notes) == squared


@pytest.mark.parametrize("matrix", [1, 6])
@pytest.mark.parametrize("full_range", [False, True])
def test_colour_tags_and_colours_are_kept(tmp_path: Path, matrix: int, full_range: bool) -> None:
    tags = {
        "colorspace": matrix,
        "color_primaries": matrix,
        "color_trc": matrix,
        "color_range": 2 if full_range else 1,
    }

    source = write(tmp_path / "in.mp4", source_video(attributes=tags))
    filtered = filter_video(source, tmp_path / "out")
    before = probed(source).colour
    after = probed(filtered.path).colour
    assert after == before
    assert (after.matrix, after.full_range) == (matrix, full_range)
    assert mean_error(rgb(filtered.path), rgb(source)) < 2.5


def test_ten_bit_sdr_is_reduced_and_said_so(tmp_path: Path) -> None:
    tags = {"colorspace": 1, "color_primaries": 1, "color_trc": 1}
    source = write(tmp_path / "in.mp4", source_video(pix_fmt="yuv420p10le", attributes=tags))
    filtered = filter_video(source, tmp_path / "out")
    assert "reduced_to_8_bit" in filtered.notes
    assert probed(filtered.path).bit_depth == 8
    assert mean_error(rgb(filtered.path), rgb(source)) < 3


@pytest.mark.parametrize("transfer", [16, 18], ids=["PQ", "HLG"])
def test_hdr_is_tone_mapped_to_tagged_bt709_and_said_so(tmp_path: Path, transfer: int) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": transfer}
    source = write(tmp_path / "in.mp4", source_video(pix_fmt="yuv420p10le", attributes=tags))
    filtered = filter_video(source, tmp_path / "out")
    colour = probed(filtered.path).colour
    assert "hdr_tone_mapped_to_bt709" in filtered.notes
    assert (colour.matrix, colour.primaries, colour.transfer, colour.full_range) == (1, 1, 1, False)
    assert times_of(filtered.path) == times_of(source)
    assert 20 < rgb(filtered.path).mean() < 250


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.5806), (18, 0.75)])
def test_tone_mapping_keeps_greys_grey_and_white_near_white(transfer: int, white: float) -> None:
    greys = np.repeat(np.linspace(0, 1, 64)[:, None], 3, axis=1)
    mapped = to_sdr(greys, transfer)
    assert np.abs(mapped - mapped[:, :1]).max() < 0.01
    assert (np.diff(mapped[:, 0]) >= 0).all()
    assert mapped[-1, 0] > 0.99
    # BT.2408: 203 nits is 58 % of the PQ signal and 75 % of the HLG signal
    assert 0.8 < to_sdr(np.full((1, 3), white), transfer)[0, 0] < 0.97


def graded_for_pq(frame: VideoFrame) -> VideoFrame:
    """Return an SDR frame as an HDR programme would show it: white at 203 nits, BT.2020, SMPTE ST
    2084, ten bits.
    """
    light = (frame.to_ndarray(format="rgb24") / 255.0) ** 2.4
    wide = (
        np.clip(light.reshape(-1, 3) @ np.linalg.inv(BT2020_TO_BT709).T, 0, None)
        * REFERENCE_WHITE_NITS
        / 10_000
    )

    power = wide ** (2610 / 16384)
    signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    levels = np.round(signal.reshape(light.shape) * 65_535).astype(np.uint16)

    return VideoFrame.from_ndarray(levels, "rgb48le").reformat(
        format="yuv420p10le", dst_colorspace="BT2020"
    )


def test_an_sdr_image_graded_for_hdr_comes_back_as_it_was(tmp_path: Path) -> None:
    plain = source_video(count=2)
    graded = replace(
        plain, frames=[graded_for_pq(frame) for frame in plain.frames], pix_fmt="yuv420p10le"
    )
    graded.attributes |= {"colorspace": 9, "color_primaries": 9, "color_trc": 16}
    filtered = filter_video(write(tmp_path / "in.mp4", graded), tmp_path / "out")
    assert (
        mean_error(
            rgb(filtered.path), plain.frames[0].to_ndarray(format="rgb24").astype(np.float32)
        )
        < 8
    )


@pytest.mark.parametrize("pix_fmt", ["yuv444p", "yuv422p"])
def test_finer_chroma_is_converted_and_said_so(tmp_path: Path, pix_fmt: str) -> None:
    source = write(tmp_path / "in.mp4", source_video(pix_fmt=pix_fmt))
    filtered = filter_video(source, tmp_path / "out")
    assert f"converted_from_{pix_fmt}" in filtered.notes
    assert mean_error(rgb(filtered.path), rgb(source)) < 3


def test_rgb_video_is_encoded_as_bt709(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mp4", source_video(codec="libx264rgb", pix_fmt="rgb24"))
    filtered = filter_video(source, tmp_path / "out")
    colour = probed(filtered.path).colour
    assert (colour.matrix, colour.full_range) == (1, False)
    assert "converted_from_gbrp" in filtered.notes
    assert mean_error(rgb(filtered.path), rgb(source)) < 3


def test_odd_sizes_are_padded_by_one_pixel_and_nothing_is_cut(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.webm",
        source_video(size=(319, 179), codec="libvpx-vp9", options={"crf": "10", "b": "0"}),
    )
    filtered = filter_video(source, tmp_path / "out", format="mp4")
    written = probed(filtered.path)
    assert (written.width, written.height) == (320, 180)
    assert "padded_to_even_size" in filtered.notes
    assert mean_error(rgb(filtered.path)[:179, :319], rgb(source)) < 3


def test_b_frames_in_and_out_keep_their_order(tmp_path: Path) -> None:
    options = {"preset": "medium", "bf": "5", "crf": "10"}
    source = write(tmp_path / "in.mp4", source_video(count=40, options=options))
    filtered = filter_video(
        source, tmp_path / "out", encoder=EncoderSettings(preset="medium", crf=10)
    )
    kinds = {frame.pict_type for frame in frames_of(filtered.path)}
    assert av.video.frame.PictureType.B in kinds
    assert times_of(filtered.path) == times_of(source)

    for index in (0, 17, 39):
        assert mean_error(rgb(filtered.path, index), rgb(source, index)) < 2


def test_the_swap_is_written_into_the_frame_and_nowhere_else(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mp4", source_video())
    filtered = filter_video(
        source, tmp_path / "out", encoder=EncoderSettings(preset="ultrafast", crf=1)
    )
    assert rgb(filtered.path)[2:14, 2:14].max() < 12  # the filter's corner
    assert mean_error(rgb(filtered.path), rgb(source)) < 1


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp9", "av1"])
def test_every_codec_of_the_contract_can_be_asked_for(tmp_path: Path, codec: str) -> None:
    source = write(tmp_path / "in.mp4", source_video())
    filtered = filter_video(source, tmp_path / "out", encoder=EncoderSettings(codec=codec))
    assert probed(filtered.path).codec.removeprefix("lib").replace("dav1d", "av1") == codec
    assert times_of(filtered.path) == times_of(source)


def test_max_side_scales_the_image_and_keeps_its_shape(tmp_path: Path) -> None:
    filtered = filter_video(
        write(tmp_path / "in.mp4", source_video()), tmp_path / "out", max_side=160
    )
    written = probed(filtered.path)
    assert (written.width, written.height) == (160, 90)
    assert filtered.swapper.sizes == {(320, 180)}  # swapped at full size, scaled last
    assert "scaled_down" in filtered.notes
    assert fitted_size(1920, 1080, 1280) == (1280, 720)
