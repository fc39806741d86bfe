"""Colours and fields: untagged, wide and interlaced videos come out right, and that is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame

from tests.worker.video.files.test_media_promises import BASE
from tests.worker.video.material.filtered import filter_video, probed
from tests.worker.video.material.samples import rgb
from tests.worker.video.material.written import SourceVideo, steady, write


def bars(width: int, height: int, pix_fmt: str) -> VideoFrame:
    levels = np.zeros((height, width, 3), np.uint8)
    colours = [(180, 180, 180), (180, 60, 60), (60, 180, 60), (60, 60, 180)]

    for index, colour in enumerate(colours):
        levels[:, index * width // 4 : (index + 1) * width // 4] = colour

    return VideoFrame.from_ndarray(levels, "rgb24").reformat(
        format=pix_fmt, dst_colorspace=1, dst_color_range=1
    )


def test_untagged_hd_scaled_down_is_tagged_and_said(tmp_path: Path) -> None:
    frames = [bars(1280, 720, "yuv420p") for _ in range(4)]
    source = write(tmp_path / "in.mp4", SourceVideo(frames, steady(4, Fraction(24), BASE), BASE))
    filtered = filter_video(source, tmp_path / "out", max_side=640)
    colour = probed(filtered.path).colour
    assert (colour.matrix, colour.primaries, colour.transfer) == (1, 1, 1)
    assert "tagged_as_bt709" in filtered.notes


@pytest.mark.parametrize("primaries", [9, 12], ids=["BT.2020", "Display P3"])
def test_wide_sdr_colours_are_converted_and_said(tmp_path: Path, primaries: int) -> None:
    matrix = 9 if primaries == 9 else 1
    frames = [bars(320, 180, "yuv420p") for _ in range(3)]
    tags = {"colorspace": matrix, "color_primaries": primaries, "color_trc": 1}
    source_video = SourceVideo(frames, steady(3, Fraction(24), BASE), BASE, attributes=tags)
    filtered = filter_video(write(tmp_path / "in.mp4", source_video), tmp_path / "out")
    colour = probed(filtered.path).colour
    assert (colour.matrix, colour.primaries, colour.transfer) == (1, 1, 1)
    assert "wide_colours_converted_to_bt709" in filtered.notes
    grey = rgb(filtered.path)[90, 40]
    red = rgb(filtered.path)[90, 120]
    assert np.ptp(grey) < 6  # white is white in all of them
    assert red[0] - red[1] > 125  # a red of wider primaries is a stronger red of BT.709


def test_interlaced_frames_lose_their_combs_and_that_is_said(tmp_path: Path) -> None:
    frames = []
    for index in range(6):
        image = np.full((180, 320, 3), 60, np.uint8)
        image[0::2, 40 + 16 * index : 100 + 16 * index] = 200
        image[1::2, 48 + 16 * index : 108 + 16 * index] = 200
        frames.append(VideoFrame.from_ndarray(image, "rgb24"))

    options = {"preset": "ultrafast", "crf": "8", "flags": "+ildct+ilme", "x264-params": "tff=1"}
    source = write(
        tmp_path / "in.mp4",
        SourceVideo(frames, steady(6, Fraction(24), BASE), BASE, options=options),
    )
    filtered = filter_video(source, tmp_path / "out")
    assert "deinterlaced" in filtered.notes

    def combs(path: Path) -> float:
        luma = rgb(path, 3).mean(axis=2)[40:-2]
        return float(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())

    assert combs(filtered.path) < 0.3 * combs(source)
