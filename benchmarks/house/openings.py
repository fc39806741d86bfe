"""H-4: a short video is opened and probed once, by the kernel's own count."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bar import Figure, bar
from tests.worker.video.material.filtered import filter_video
from tests.worker.video.material.samples import DUET, SOLO

_IN_OPEN = 0x20  # inotify(7)
_EVENT_BYTES = 16  # of an event without a name: what is watched is the file itself


@bar("H-4")
def a_short_video_is_opened_once() -> Figure:
    """Times that the kernel opens a short video with sound from planning to the joined result."""
    most = 0
    with tempfile.TemporaryDirectory() as directory:
        # One person and two: a second face must not cost a second look.
        for name, source in (("solo", SOLO), ("duet", DUET)):
            video = Path(directory) / f"{name}.mp4"
            # A copy of its own: other processes may open the sample meanwhile.
            video.write_bytes(source.read_bytes())

            with counting_openings(video) as openings:
                result = filter_video(video, Path(directory) / name)
                count = openings()

            print(f"{name}: opened {count} times, probed {result.opens} times")
            most = max(most, count, result.opens)

    return Figure(most, "openings", "= 1", most == 1)


@contextmanager
def counting_openings(path: Path) -> Iterator[Callable[[], int]]:
    """Yield what counts the openings of `path` by anybody since the block began. Linux only."""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)

    if watch < 0 or libc.inotify_add_watch(watch, os.fsencode(path), _IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "inotify")

    def count() -> int:
        seen = 0
        try:
            while events := os.read(watch, 4096):
                seen += len(events) // _EVENT_BYTES
        # The queue is empty: not an error, but the only sign of its end.
        except BlockingIOError:
            pass

        return seen

    try:
        yield count
    finally:
        os.close(watch)
