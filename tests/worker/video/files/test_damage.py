"""Row six of the video contract (docs/video.md), and hostile files: swapped up to the damage or
refused with a reason, never a hang.
"""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.worker.video.material.filtered import FAST, CornerFilter, filter_video, planned
from tests.worker.video.material.samples import LIMITS, SOLO, frames_of, packets_of, times_of
from tests.worker.video.material.written import Sound, SourceVideo, steady, write
from worker.media.media_errors import DamagedMedia, MediaError
from worker.video.segments import OutputSettings, swap_segment
from worker.video.video import Video

BASE = Fraction(1, 15_360)


def source_file(path: Path, count: int = 40, **properties: object) -> Path:
    frames = frames_of(SOLO, count=count, size=(320, 180))
    options = {"preset": "ultrafast", "crf": "20", "g": "10"}
    return write(
        path,
        SourceVideo(frames, steady(count, Fraction(30), BASE), BASE, options=options, **properties),
    )


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv"])
def test_a_truncated_video_is_swapped_up_to_the_damage_with_a_warning(
    tmp_path: Path, name: str
) -> None:
    faststart = {"movflags": "+faststart"} if name == "in.mp4" else {}
    source = source_file(
        tmp_path / name, count=75, sounds=[Sound(seconds=2.5)], container_options=faststart
    )
    whole = times_of(source)
    filtered = filter_video(cut(source, 0.55), tmp_path / "out")
    kept = times_of(filtered.path)
    assert filtered.plan.truncated
    assert 10 < len(kept) < len(whole)
    assert kept == whole[: len(kept)]


def test_an_mp4_without_its_index_is_refused_as_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedMedia) as caught:
        planned(cut(source_file(tmp_path / "in.mp4"), 0.6))
    assert caught.value.code == "undecodable"


def test_damage_in_the_middle_costs_frames_but_no_time(tmp_path: Path) -> None:
    source = source_file(tmp_path / "in.mp4", count=60)
    data = np.frombuffer(source.read_bytes(), np.uint8).copy()
    start = bytes(data).index(b"mdat") + 4
    middle = slice(start + int((len(data) - start) * 0.4), start + int((len(data) - start) * 0.5))
    data[middle] = np.random.default_rng(3).integers(0, 256, data[middle].shape)
    whole = times_of(source)
    source.write_bytes(data.tobytes())
    filtered = filter_video(source, tmp_path / "out")
    assert any(note.startswith("damaged_") for note in filtered.notes)
    assert set(times_of(filtered.path)) <= set(whole)
    assert times_of(filtered.path)[-1] == whole[-1]


def test_mutated_videos_end_in_a_video_or_a_coded_error_and_in_time(tmp_path: Path) -> None:
    clean = source_file(tmp_path / "clean.mp4", count=10, sounds=[Sound(seconds=0.3)]).read_bytes()
    random = np.random.default_rng(11)
    started = time.monotonic()

    for index in range(25):
        broken = np.frombuffer(clean, np.uint8).copy()
        places = random.integers(0, len(broken), 40)
        broken[places] = random.integers(0, 256, len(places))
        path = tmp_path / "broken.mp4"
        path.write_bytes(broken.tobytes())

        try:
            frames = filter_video(path, tmp_path / f"out{index}").outcomes[0].frames
        except MediaError:
            continue

        assert frames >= 1

    assert time.monotonic() - started < 60


class Stopped(Exception):
    """Raised by a watcher, as a cancellation is."""


def test_what_the_watcher_raises_stops_all_stages_at_once(tmp_path: Path) -> None:
    source = source_file(tmp_path / "in.mp4", count=60)
    plan = planned(source)
    seen: list[int] = []

    def watch(done: int) -> None:
        seen.append(done)
        if done >= 5:
            raise Stopped

    started = time.monotonic()
    with pytest.raises(Stopped), Video.open(source, LIMITS) as video:
        swap_segment(
            video,
            plan.segments[0],
            tmp_path / "x.nut",
            CornerFilter(),
            OutputSettings(encoder=FAST),
            watch,
        )

    assert time.monotonic() - started < 3
    assert seen[-1] == 5


def test_the_sound_of_a_truncated_video_is_copied_as_far_as_it_goes(tmp_path: Path) -> None:
    source = source_file(tmp_path / "in.mkv", count=75, sounds=[Sound(seconds=2.5)])
    whole = packets_of(source, "audio")[0]
    filtered = filter_video(cut(source, 0.5), tmp_path / "out", format="mkv")
    kept = packets_of(filtered.path, "audio")[0]
    assert 0 < len(kept) < len(whole)
    assert kept == whole[: len(kept)]


def test_a_segment_of_which_nothing_is_left_costs_itself_and_no_more(tmp_path: Path) -> None:
    source = source_file(tmp_path / "in.mp4", count=60, sounds=[Sound(seconds=2.0)])
    plan = planned(source, segment_s=0.6, whole_below_s=1.0)
    assert len(plan.segments) == 3
    whole = times_of(source)
    lost = plan.segments[1]
    data = bytearray(source.read_bytes())

    for start, size in packet_places(source, lost.start, lost.stop or 0):
        data[start : start + size] = bytes(size)

    source.write_bytes(data)
    filtered = filter_video(source, tmp_path / "out", plan=plan)
    assert [outcome.frames > 0 for outcome in filtered.outcomes] == [True, False, True]
    kept = [time for time in whole if not lost.start <= time / BASE < (lost.stop or 0)]
    assert times_of(filtered.path) == kept
    assert packets_of(filtered.path, "audio") == packets_of(source, "audio")


def packet_places(path: Path, start: int, stop: int) -> list[tuple[int, int]]:
    """Where in the file the packets of these frames lie."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]

    return [
        (packet.pos or 0, packet.size) for packet in packets if start <= (packet.pts or 0) < stop
    ]
