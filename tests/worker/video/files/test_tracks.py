"""Row two of the video contract (docs/video.md): sound, subtitles, chapters and metadata are
copied, or their loss is stated.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.worker.video.material.filtered import filter_video
from tests.worker.video.material.samples import SOLO, frames_of, packets_of, times_of
from tests.worker.video.material.written import Sound, SourceVideo, srt, steady, write
from worker.video.encoder import EncoderSettings

SIZE = (320, 180)
BASE = Fraction(1, 15_360)


def loudest_hertz(path: Path) -> float:
    with av.open(str(path)) as container:
        samples = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * rate / len(samples)


def source_video(count: int = 30, **properties: object) -> SourceVideo:
    return SourceVideo(
        frames_of(SOLO, count=count, size=SIZE),
        steady(count, Fraction(30), BASE),
        BASE,
        **properties,
    )


def test_every_audio_track_is_copied_packet_by_packet(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mp4", source_video(sounds=[Sound(440), Sound(880)]))
    filtered = filter_video(source, tmp_path / "out")
    assert len(packets_of(source, "audio")) == 2
    assert packets_of(filtered.path, "audio") == packets_of(source, "audio")
    assert filtered.mux.copied == ("audio:aac", "audio:aac")


@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_sound_shorter_or_longer_than_the_video_stays_whole(tmp_path: Path, seconds: float) -> None:
    source = write(tmp_path / "in.mp4", source_video(sounds=[Sound(seconds=seconds)]))
    filtered = filter_video(source, tmp_path / "out")
    assert packets_of(filtered.path, "audio") == packets_of(source, "audio")
    assert times_of(filtered.path) == times_of(source)


def test_a_video_without_sound_stays_without(tmp_path: Path) -> None:
    filtered = filter_video(write(tmp_path / "in.mp4", source_video()), tmp_path / "out")
    assert packets_of(filtered.path, "audio") == []
    assert filtered.mux.copied == ()


def test_sound_is_dropped_when_asked_and_that_is_said(tmp_path: Path) -> None:
    filtered = filter_video(
        write(tmp_path / "in.mp4", source_video(sounds=[Sound()])), tmp_path / "out", audio="drop"
    )
    assert packets_of(filtered.path, "audio") == []
    assert "audio_dropped_as_asked" in filtered.notes


@pytest.mark.parametrize(
    ("name", "codec", "file_format"), [("in.mp4", "aac", "webm"), ("in.avi", "pcm_mulaw", "mp4")]
)
def test_sound_that_the_format_cannot_hold_is_encoded_again_and_that_is_said(
    tmp_path: Path, name: str, codec: str, file_format: str
) -> None:
    source = write(tmp_path / name, source_video(sounds=[Sound(seconds=1.0, codec=codec)]))
    encoder = EncoderSettings(codec="vp9" if file_format == "webm" else "h264")
    filtered = filter_video(source, tmp_path / "out", format=file_format, encoder=encoder)
    (note,) = (note for note in filtered.notes if note.startswith("audio_encoded_again"))
    assert codec in note
    (sound,) = packets_of(filtered.path, "audio")
    assert -0.05 < (sound[0][0] or 0.0) < 0.1
    assert abs((sound[-1][0] or 0.0) - 1.0) < 0.1
    assert loudest_hertz(filtered.path) == pytest.approx(440, abs=6)


def test_subtitles_are_copied_into_a_container_that_holds_them(tmp_path: Path) -> None:
    source = write(
        tmp_path / "in.mkv",
        source_video(subtitles_from=srt(tmp_path / "text.srt"), sounds=[Sound()]),
    )
    filtered = filter_video(source, tmp_path / "out", format="mkv")
    assert packets_of(filtered.path, "subtitle") == packets_of(source, "subtitle")
    assert [text for _, text in packets_of(filtered.path, "subtitle")[0]] == [b"Hello", b"there"]


def test_subtitles_that_mp4_cannot_hold_are_stated(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mkv", source_video(subtitles_from=srt(tmp_path / "text.srt")))
    filtered = filter_video(source, tmp_path / "out", format="mp4")
    assert "subtitle_track_left_out:srt" in filtered.notes


@pytest.mark.parametrize("file_format", ["mp4", "mkv"])
def test_a_cover_which_shows_the_face_as_it_was_is_left_out(
    tmp_path: Path, file_format: str
) -> None:
    cover = (SOLO.parent / "ada_neutral.jpg").read_bytes()
    source = write(tmp_path / "in.mp4", source_video(sounds=[Sound()], cover=cover))
    filtered = filter_video(source, tmp_path / "out", format=file_format)

    assert cover not in filtered.path.read_bytes()
    assert "cover_left_out" in filtered.notes
    with av.open(str(filtered.path)) as container:
        assert len(container.streams.video) == 1


@pytest.mark.parametrize("file_format", ["mp4", "mkv"])
def test_the_stated_frame_rate_is_the_videos(tmp_path: Path, file_format: str) -> None:
    filtered = filter_video(
        write(tmp_path / "in.mp4", source_video()), tmp_path / "out", format=file_format
    )
    with av.open(str(filtered.path)) as container:
        assert abs(float(container.streams.video[0].average_rate or 0) - 30) < 0.5


def test_chapters_and_metadata_are_kept(tmp_path: Path) -> None:
    chapters = [
        {
            "id": 1,
            "start": 0,
            "end": 500,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": "one"},
        },
        {
            "id": 2,
            "start": 500,
            "end": 1000,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": "two"},
        },
    ]

    source = write(
        tmp_path / "in.mp4",
        source_video(chapters=chapters, metadata={"title": "A video", "artist": "Somebody"}),
    )
    filtered = filter_video(source, tmp_path / "out")

    with av.open(str(filtered.path)) as container:
        assert container.metadata["title"] == "A video"
        assert container.metadata["artist"] == "Somebody"
        kept = container.chapters()

    assert [chapter["metadata"]["title"] for chapter in kept] == ["one", "two"]
    assert [chapter["start"] * (chapter["time_base"] or 0) for chapter in kept] == [
        0,
        Fraction(1, 2),
    ]
    assert filtered.notes == set()


def test_the_copied_video_can_be_read_without_a_warning(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mp4", source_video(sounds=[Sound()]))
    filtered = filter_video(source, tmp_path / "out")
    av.logging.set_level(av.logging.WARNING)

    try:
        with av.logging.Capture() as log, av.open(str(filtered.path)) as container:
            decoded = sum(1 for packet in container.demux() for _ in packet.decode())
    finally:
        av.logging.set_level(None)

    assert decoded > 30
    assert log == []
