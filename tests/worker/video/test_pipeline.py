"""Three threads and two bounded queues: order, overlap, errors and endings."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from worker.video.channel import Channel, EndOfChannel
from worker.video.pipeline import QUEUED_FRAMES, Pipeline


def numbers(count: int, closed: list[bool] | None = None) -> Generator[int, None, None]:
    try:
        yield from range(count)
    finally:
        if closed is not None:
            closed.append(True)


def test_items_come_out_in_order_and_none_is_lost() -> None:
    out: list[int] = []
    done = Pipeline(numbers(500), lambda item: [item * 2], out.append, lambda _: None).run()
    assert done == 500
    assert out == list(range(0, 1000, 2))


def test_items_for_which_work_returns_nothing_are_left_out() -> None:
    out: list[int] = []
    Pipeline(numbers(10), lambda item: [item] if item % 3 else [], out.append, lambda _: None).run()
    assert out == [1, 2, 4, 5, 7, 8]


def test_items_that_work_holds_back_come_out_later_and_the_last_ones_at_the_end() -> None:
    held: list[int] = []
    out: list[int] = []

    def hold_two(item: int) -> list[int]:
        held.append(item)
        return [held.pop(0)] if len(held) > 2 else []

    done = Pipeline(numbers(10), hold_two, out.append, lambda _: None, rest=lambda: held).run()
    assert done == 10
    assert out == list(range(10))


def test_the_stages_overlap() -> None:
    def slow(item: int) -> int:
        time.sleep(0.01)
        return item

    def source() -> Generator[int, None, None]:
        for item in range(20):
            yield slow(item)

    started = time.monotonic()
    Pipeline(source(), lambda item: [slow(item)], slow, lambda _: None).run()
    assert time.monotonic() - started < 0.45  # one after the other would take 0.6 s


def test_a_slow_sink_bounds_what_is_read_ahead() -> None:
    read: list[int] = []
    lead: list[int] = []

    def source() -> Generator[int, None, None]:
        for item in range(60):
            read.append(item)
            yield item

    def sink(item: int) -> None:
        time.sleep(0.002)
        lead.append(len(read) - item)

    Pipeline(source(), lambda item: [item], sink, lambda _: None).run()
    assert max(lead) <= 2 * QUEUED_FRAMES + 4


@pytest.mark.parametrize("stage", ["source", "work", "sink", "watch"])
def test_an_error_in_any_stage_ends_all_and_is_raised_once(stage: str) -> None:
    closed: list[bool] = []

    def fail_at(name: str, item: int) -> int:
        if stage == name and item == 7:
            raise ValueError(name)
        return item

    def sink(item: int) -> None:
        fail_at("sink", item)

    def watch(done: int) -> None:
        fail_at("watch", done)

    def source() -> Generator[int, None, None]:
        for item in numbers(1000, closed):
            yield fail_at("source", item)

    before = threading.active_count()
    with pytest.raises(ValueError, match=stage):
        Pipeline(source(), lambda item: [fail_at("work", item)], sink, watch).run()

    deadline = time.monotonic() + 2
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)

    assert threading.active_count() == before


def test_a_stage_that_hangs_does_not_keep_the_watcher_from_ending_the_job() -> None:
    release = threading.Event()

    def source() -> Generator[int, None, None]:
        yield 1
        release.wait(8)
        yield 2

    started = time.monotonic()

    def watch(done: int) -> None:
        if time.monotonic() - started > 0.5:
            raise TimeoutError("the job took too long")

    with pytest.raises(TimeoutError, match="too long"):
        Pipeline(source(), lambda item: [item], lambda _: None, watch, join_s=0.2).run()

    assert time.monotonic() - started < 3
    release.set()


def test_a_sink_that_hangs_does_not_either() -> None:
    release = threading.Event()
    started = time.monotonic()

    def watch(done: int) -> None:
        if time.monotonic() - started > 0.5:
            raise TimeoutError("the job took too long")

    with pytest.raises(TimeoutError, match="too long"):
        Pipeline(
            numbers(100), lambda item: [item], lambda _: release.wait(8), watch, join_s=0.2
        ).run()

    assert time.monotonic() - started < 3
    release.set()


def test_a_closed_channel_gives_what_is_left_and_then_ends() -> None:
    channel: Channel[int] = Channel(3)
    channel.put(1)
    channel.close()
    assert channel.get() == 1

    with pytest.raises(EndOfChannel):
        channel.get()


def test_getting_from_an_empty_channel_times_out() -> None:
    with pytest.raises(TimeoutError):
        Channel[int](1).get(0.05)
