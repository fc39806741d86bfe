"""Files as people's devices write them: no track, frame, duration or colour is lost in silence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.worker.video.material.filtered import FAST, filter_video, planned, probed
from tests.worker.video.material.samples import SOLO, frames_of, packets_of, rgb, times_of
from tests.worker.video.material.written import Sound, SourceVideo, steady, write
from worker.media.media_errors import UnsupportedMedia
from worker.video.encoder import EncoderSettings

BASE = Fraction(1, 15_360)
SIZE = (320, 180)


def source_video(path: Path, count: int = 24, rate: int = 24, **properties: object) -> Path:
    frames = frames_of(SOLO, count=count, size=SIZE)
    return write(path, SourceVideo(frames, steady(count, Fraction(rate), BASE), BASE, **properties))


def recoded(path: Path, old: bytes, new: bytes, *, last: bool = True) -> Path:
    """Return the file with the code of one of its tracks replaced by one that nobody knows."""
    data = bytearray(path.read_bytes())
    start = data.rindex(old) if last else data.index(old)
    data[start : start + len(old)] = new
    path.write_bytes(bytes(data))

    return path


def duration_s(path: Path) -> float:
    """How long the video track says it is shown."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float((stream.duration or 0) * (stream.time_base or 0))


@pytest.mark.parametrize("code", [b"apac", b"xyz9"])
def test_a_sound_track_of_unknown_coding_is_left_out_and_said(tmp_path: Path, code: bytes) -> None:
    source = source_video(tmp_path / "in.mov", sounds=[Sound(), Sound(codec="pcm_s16le")])
    filtered = filter_video(recoded(source, b"sowt", code), tmp_path / "out", format="mov")
    assert "audio_track_left_out:unknown" in filtered.notes
    assert len(packets_of(filtered.path, "audio")) == 1
    assert filtered.outcomes[0].frames == 24


def test_a_second_video_track_as_of_depth_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "in.mov"
    frames = frames_of(SOLO, count=12, size=SIZE)

    with av.open(str(path), "w") as container:
        streams = [container.add_stream(codec, 24) for codec in ("libx264", "mjpeg")]
        for stream in streams:
            stream.width, stream.height = SIZE

        streams[1].pix_fmt = "yuvj420p"
        for index, frame in enumerate(frames):
            for stream in streams:
                shown = frame.reformat(format=stream.pix_fmt)
                shown.pts = index
                shown.time_base = Fraction(1, 24)
                shown.pict_type = 0
                container.mux(stream.encode(shown))

        for stream in streams:
            container.mux(stream.encode(None))

    filtered = filter_video(recoded(path, b"jpeg", b"dpth"), tmp_path / "out", format="mov")
    assert any(note.startswith("video_track_left_out") for note in filtered.notes)
    assert filtered.outcomes[0].frames == 12


@pytest.mark.parametrize(
    ("codec", "hertz", "layout"),
    [("pcm_u8", 192_000, "mono"), ("pcm_s16le", 37_000, "stereo"), ("pcm_f64le", 48_000, "3.0")],
)
def test_sound_that_the_format_or_an_encoder_refuses_is_made_to_fit_and_said(
    tmp_path: Path, codec: str, hertz: int, layout: str
) -> None:
    source = tmp_path / "in.mkv"
    frames = frames_of(SOLO, count=24, size=SIZE)

    with av.open(str(source), "w") as container:
        video = container.add_stream("libx264", 24)
        video.width, video.height = SIZE
        sound = container.add_stream(codec, hertz, layout=layout)

        for index, frame in enumerate(frames):
            frame.pts = index
            frame.time_base = Fraction(1, 24)
            frame.pict_type = 0
            container.mux(video.encode(frame))

        container.mux(video.encode(None))
        samples = np.zeros((1, hertz * sound.layout.nb_channels), np.int16)
        tone = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        tone.sample_rate = hertz
        tone.pts = 0
        container.mux(sound.encode(tone))
        container.mux(sound.encode(None))

    filtered = filter_video(source, tmp_path / "out", format="mp4")
    assert any(note.startswith("audio_") for note in filtered.notes)
    assert filtered.mux.frames == 24


@pytest.mark.parametrize("encoder", [FAST, EncoderSettings()], ids=["none", "B-frames"])
@pytest.mark.parametrize(
    "gaps",
    [[15_360, *[512] * 9], [*[512] * 9, 15_360], [512], [512, 4096, 512, 512, 2048, 512, 9000]],
    ids=["a long first frame", "a held last frame", "one frame", "any gaps"],
)
def test_every_frame_is_shown_as_long_as_before_the_last_one_too(
    tmp_path: Path, gaps: list[int], encoder: EncoderSettings
) -> None:
    starts = [sum(gaps[:index]) for index in range(len(gaps))]
    source = tmp_path / "in.mp4"

    with av.open(
        str(source), "w", container_options={"video_track_timescale": "15360"}
    ) as container:
        stream = container.add_stream("libx264", 30, options={"bf": "0"})
        stream.width, stream.height = SIZE
        stream.codec_context.time_base = stream.time_base = BASE
        packets = []

        for frame, start in zip(frames_of(SOLO, count=len(gaps), size=SIZE), starts, strict=True):
            frame.pts = start
            frame.time_base = BASE
            frame.pict_type = 0
            packets += stream.encode(frame)

        for packet, gap in zip([*packets, *stream.encode(None)], gaps, strict=True):
            packet.duration = gap
            container.mux(packet)

    made = filter_video(source, tmp_path / "out", encoder=encoder)
    assert times_of(made.path) == times_of(source)
    assert duration_s(source) == pytest.approx(sum(gaps) / 15_360)
    assert duration_s(made.path) == pytest.approx(sum(gaps) / 15_360, abs=0.001)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
@pytest.mark.parametrize("count", [30, 400])
def test_an_avi_with_b_frames_keeps_every_frame_at_its_time(
    tmp_path: Path, codec: str, count: int
) -> None:
    images = frames_of(SOLO, count=30, size=SIZE)
    frames = [images[index % 30].reformat(format="yuv420p") for index in range(count)]
    options = {"bf": "2", "g": "12"} | ({"preset": "veryfast"} if codec == "libx264" else {})
    source = write(
        tmp_path / "in.avi",
        SourceVideo(frames, range(count), Fraction(1, 25), codec=codec, options=options),
    )
    filtered = filter_video(source, tmp_path / "out")
    assert times_of(filtered.path) == [Fraction(index, 25) for index in range(count)]
    # No seek in it would be exact: a long one is cut, and each segment read from the beginning.
    assert (len(planned(source).segments) > 1) == (count > 300)

    for index in (1, 7, count - 1):
        shown = rgb(filtered.path, index)
        expected = frames[index].to_ndarray(format="rgb24")
        assert np.abs(shown[24:] - expected[24:]).mean() < 6


def test_the_place_of_recording_is_not_passed_on(tmp_path: Path) -> None:
    source = source_video(
        tmp_path / "in.mp4", metadata={"location": "+52.52+013.40/", "title": "A video"}
    )
    filtered = filter_video(source, tmp_path / "out")

    with av.open(str(filtered.path)) as container:
        assert container.metadata.get("title") == "A video"
        assert not [name for name in container.metadata if "location" in name]

    assert "location_dropped" in filtered.notes


@pytest.mark.parametrize("codec", ["magicyuv", "utvideo", "huffyv", "rawvideo", "png", "flv"])
def test_codecs_outside_the_list_are_not_decoded(tmp_path: Path, codec: str) -> None:
    codec = {"huffyv": "huffyuv"}.get(codec, codec)
    pix_fmt = {"png": "rgb24", "magicyuv": "yuv444p", "huffyuv": "yuv422p"}.get(codec, "yuv420p")
    frames = [frame.reformat(format=pix_fmt) for frame in frames_of(SOLO, count=3, size=SIZE)]
    name = "in.flv" if codec == "flv" else "in.avi"
    source = write(
        tmp_path / name,
        SourceVideo(frames, range(3), Fraction(1, 25), codec=codec, pix_fmt=pix_fmt, options={}),
    )

    with pytest.raises(UnsupportedMedia, match="is not supported"):
        probed(source)


@pytest.mark.parametrize("name", ["mkv", "webm", "mp4", "mov"])
def test_a_held_frame_before_the_end_lengthens_nothing(tmp_path: Path, name: str) -> None:
    """With B-frames the packet decoded last is not the one shown last."""
    pts = [0, 33, 66, 100, 1500, 1533]
    options = {"preset": "veryfast", "bf": "2"}
    frames = frames_of(SOLO, count=len(pts), size=(320, 180))
    source = write(
        tmp_path / "in.mp4", SourceVideo(frames, pts, Fraction(1, 1000), options=options)
    )

    vp9 = EncoderSettings(codec="vp9", crf=40, preset="ultrafast")
    settings = {"encoder": vp9 if name == "webm" else EncoderSettings()}
    result = filter_video(source, tmp_path / "out", format=name, **settings).path

    with av.open(str(result)) as container:
        assert container.duration is not None
        lasting_s = container.duration / av.time_base

    assert lasting_s == pytest.approx(1.566, abs=0.04)


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [("in.webm", "libvpx-vp9", "yuva420p"), ("in.mov", "prores_ks", "yuva444p10le")],
)
def test_transparency_that_is_dropped_is_said(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 24)
        stream.width, stream.height = SIZE
        stream.pix_fmt = pixels

        for index, frame in enumerate(frames_of(SOLO, count=6, size=SIZE)):
            shown = frame.reformat(format=pixels)
            shown.pts = index
            shown.time_base = Fraction(1, 24)
            container.mux(stream.encode(shown))

        container.mux(stream.encode(None))

    assert "alpha_dropped" in filter_video(path, tmp_path / "out").notes
