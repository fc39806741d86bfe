"""Where a video is cut into segments: at its own key frames, found by reading packets without
decoding them, and between key frames that are far apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import av

from worker.video.declared_size import check_frames
from worker.video.probe import VideoInfo
from worker.video.video import Video

SEGMENT_S: Final = 5.0  # what a killed worker loses at most; each costs a start and a warm-up
MISCOUNTED: Final = 2  # AVI counts a frame or two that are not there
ONE_SEGMENT_S: Final = 12.0  # below this, spreading a video over workers costs more than it saves
# A segment that begins between key frames is decoded from the key frame before it. It is longer
# where that takes long, until swapping it costs as much as decoding what lies before it, but never
# longer than this share of that: however rare key frames are, a frame is decoded at most 33 times,
# and a segment of an hour that has none takes under two minutes of video.
LEAST_SHARE: Final = 1 / 32
# What one core does in a second, measured on videos of 320 to 1080 lines: frames are decoded at
# this many pixels and coded bytes, and swapped at the rate of the smallest ones.
DECODED_PX: Final = 1.5e9
DECODED_BYTES: Final = 10e6
SWAPPED_FRAMES: Final = 60.0


@dataclass(frozen=True)
class PlannedSegment:
    """Frames with `start` <= pts < `stop` in the source's time base, `frames` of them by the
    packets' account.

    Decoding begins at the key frame at `read_from`; None: at the beginning of the video.
    """

    index: int
    start: int
    stop: int | None
    frames: int
    read_from: int | None = None


@dataclass(frozen=True)
class VideoPlan:
    """How a video is cut; equal for equal files, so that a second plan cuts at the same
    places.

    `truncated` says that the container promises more than the file holds; `last_duration` is that
    of the frame shown last, in the source's time base.
    """

    segments: tuple[PlannedSegment, ...]
    last_duration: int
    truncated: bool = False

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.segments)


def plan_video(
    video: Video, *, segment_s: float = SEGMENT_S, whole_below_s: float = ONE_SEGMENT_S
) -> VideoPlan:
    """Cut at key frames about `segment_s` apart, and between those that are further apart; a video
    shorter than `whole_below_s` stays whole.

    Raises DamagedMedia or MediaTooLarge.
    """
    info = video.info
    account = _read_account(video)
    seconds = float((account.last - info.start_pts) * info.time_base)
    cuts = [_Cut(info.start_pts, None)]

    if seconds >= whole_below_s:
        cuts = _cuts(account, info.start_pts, round(segment_s / info.time_base))

    missing = (info.frames or 0) - account.packets
    return VideoPlan(
        segments=_segments(cuts, account.times),
        # A last packet without a duration is shown as long as a frame usually is.
        last_duration=account.last_duration or max(1, round(1 / info.fps / info.time_base)),
        truncated=missing > MISCOUNTED or _ends_early(info, seconds),
    )


@dataclass(frozen=True)
class _Account:
    """What the packets say without being decoded: sorted times of shown frames, of key frames, and
    the number of packets.

    `worth` has for each frame how many frames could be swapped in the time that decoding it and
    all before it takes.
    """

    times: list[int]
    worth: list[float]
    keys: list[int]
    packets: int
    last_duration: int

    @property
    def last(self) -> int:
        return self.times[-1] if self.times else 0

    def worthwhile(self, since: int, start: int) -> int:
        """Return how long a segment at `start` must be to cost as much to swap as it costs to
        decode everything since the time `since`.
        """
        place = bisect_left(self.times, start)
        before = bisect_left(self.times, since)
        frames = self.worth[place] - self.worth[before]
        return self.times[min(place + round(frames), len(self.times) - 1)] - start


@dataclass(frozen=True)
class _Cut:
    """Where a segment begins, and the key frame that its decoding begins at."""

    start: int
    read_from: int | None


def _read_account(video: Video) -> _Account:
    """Read the packets; where they carry no showing times there are no key frames to seek."""
    # Without them only decoding order is known, in which no seek can be trusted.
    by_showing_times = video.info.has_showing_times
    sizes: list[tuple[int, int]] = []  # of each frame, after its time
    keys: list[int] = []
    packets = 0
    last: tuple[int, int] = (-(1 << 62), 0)

    # Damage ends the account; what lies before it is planned.
    with suppress(av.FFmpegError):
        for packet in video.packets():
            packets += packet.size > 0
            # Counted while reading: the header's number was checked, but is only a claim.
            check_frames(packets, video.limits)
            time = packet.pts if by_showing_times else packet.dts

            if not packet.size or time is None or packet.is_discard:
                continue

            sizes.append((time, packet.size))
            last = max(last, (time, packet.duration or 0))

            if packet.is_keyframe and by_showing_times:
                keys.append(time)

    sizes.sort()
    return _Account(
        times=[time for time, _ in sizes],
        worth=_worth([size for _, size in sizes], video.info.width * video.info.height),
        keys=sorted(keys),
        packets=packets,
        last_duration=last[1],
    )


def _worth(sizes: Sequence[int], pixels: int) -> list[float]:
    """Return what `_Account.worth` has for frames of these coded sizes."""
    seconds = accumulate(pixels / DECODED_PX + size / DECODED_BYTES for size in sizes)
    return [one * SWAPPED_FRAMES for one in seconds]


def _segments(cuts: Sequence[_Cut], times: Sequence[int]) -> tuple[PlannedSegment, ...]:
    """Return a segment from each cut to the next, with the number of `times` in it."""
    starts = [cut.start for cut in cuts]
    # By the packets' own times, so that counts of segments add up to the whole.
    places = [0, *(bisect_left(times, start) for start in starts[1:]), len(times)]
    spans = zip(cuts, [*starts[1:], None], pairwise(places), strict=True)
    return tuple(
        PlannedSegment(
            index=index,
            start=cut.start,
            stop=stop,
            frames=end - begin,
            read_from=cut.read_from,
        )
        for index, (cut, stop, (begin, end)) in enumerate(spans)
    )


def _cuts(account: _Account, start: int, length: int) -> list[_Cut]:
    """Return cuts at key frames at least `length` apart, and between those that are further than
    twice that from the cut before.
    """
    cuts = [_Cut(start, None)]
    key_before: int | None = None

    for key in [*account.keys, account.last]:
        while key - cuts[-1].start > 2 * length:
            cut = cuts[-1].start
            since = start if key_before is None else key_before
            most = round(LEAST_SHARE * (cut - since))
            step = max(length, min(most, account.worthwhile(since, cut)))
            place = bisect_left(account.times, cut + step)

            if place == len(account.times) or account.times[place] >= key:
                break

            cuts.append(_Cut(account.times[place], key_before))

        if key - cuts[-1].start >= length and key != account.last:
            cuts.append(_Cut(key, key))

        key_before = key if key > start else None

    return cuts


def _ends_early(info: VideoInfo, seconds: float) -> bool:
    """Whether a container that counts no frames (Matroska, for one) declares at least a second more
    than there is.
    """
    # A second: durations are rounded, and sound may end later than the frames.
    return info.frames is None and info.duration_s is not None and seconds + 1.0 < info.duration_s
