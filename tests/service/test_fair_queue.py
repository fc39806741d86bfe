"""The fair queue: a tenant that floods it waits for itself, and is refused first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from service.fair_queue import FairQueue


class Busy(Exception):
    pass


def queue(at_once: int = 1, per_tenant: int = 1, waiting: int = 8, wait_s: float = 5) -> FairQueue:
    return FairQueue(
        at_once=at_once, per_tenant=per_tenant, waiting=waiting, wait_s=wait_s, refusal=Busy
    )


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def test_tenants_come_in_turn() -> None:
    async def test() -> None:
        turns = queue()
        order = list[str]()

        async def work(tenant: str) -> None:
            async with turns.turn(tenant):
                await asyncio.sleep(0)
                order.append(tenant)

        tenants = ["a"] * 5 + ["b", "c"]
        await asyncio.gather(*(work(tenant) for tenant in tenants))
        assert order.index("b") <= 3
        assert order.index("c") <= 3
        assert sorted(order) == sorted(tenants)

    run(test)


def test_no_more_run_than_may_and_of_one_tenant_fewer() -> None:
    async def test() -> None:
        turns = queue(at_once=4, per_tenant=2, waiting=100)
        running = list[str]()
        most = [0, 0]

        async def work(tenant: str) -> None:
            async with turns.turn(tenant):
                running.append(tenant)
                most[0] = max(most[0], len(running))
                most[1] = max(most[1], running.count(tenant))
                await asyncio.sleep(0.001)
                running.remove(tenant)

        await asyncio.gather(*(work(tenant) for tenant in "aaaaaaaabbbbccdd"))
        assert most == [4, 2]

    run(test)


def test_a_full_queue_takes_a_place_from_the_greediest() -> None:
    async def test() -> None:
        turns = queue(waiting=4)
        release = asyncio.Event()

        async def work(tenant: str) -> str:
            async with turns.turn(tenant):
                await release.wait()
                return tenant

        greedy = [asyncio.create_task(work("greedy")) for _ in range(5)]
        await asyncio.sleep(0)

        with pytest.raises(Busy):
            await work("greedy")

        others = [asyncio.create_task(work(name)) for name in ("b", "c")]
        await asyncio.sleep(0.01)
        release.set()
        outcomes = await asyncio.gather(*greedy, *others, return_exceptions=True)
        assert outcomes[5:] == ["b", "c"]
        assert [isinstance(outcome, Busy) for outcome in outcomes[:5]] == [False] * 3 + [True] * 2

    run(test)


def test_as_many_tenants_as_places_are_all_kept() -> None:
    async def test() -> None:
        turns = queue(waiting=3)
        release = asyncio.Event()

        async def work(tenant: str) -> None:
            async with turns.turn(tenant):
                await release.wait()

        tasks = [asyncio.create_task(work(tenant)) for tenant in "abcd"]
        await asyncio.sleep(0)

        with pytest.raises(Busy):
            await work("e")

        release.set()
        await asyncio.gather(*tasks)

    run(test)


def test_a_turn_that_does_not_come_in_time_is_refused() -> None:
    async def test() -> None:
        turns = queue(wait_s=0.05)
        async with turns.turn("a"):
            with pytest.raises(Busy):
                async with turns.turn("b"):
                    pytest.fail("it was not its turn")

        async with turns.turn("b"):
            pass

    run(test)


def test_those_who_give_up_leave_no_place_taken() -> None:
    async def test() -> None:
        turns = queue(at_once=2, per_tenant=1)
        for _ in range(50):
            tasks = [asyncio.create_task(hold(turns, tenant)) for tenant in "aaabbbccc"]
            await asyncio.sleep(0)

            for task in tasks[::2]:
                task.cancel()

            await asyncio.gather(*tasks, return_exceptions=True)

        async with turns.turn("a"), turns.turn("b"):
            pass

    async def hold(turns: FairQueue, tenant: str) -> None:
        async with turns.turn(tenant):
            await asyncio.sleep(0.0001)

    run(test)


def test_work_that_fails_gives_its_turn_back() -> None:
    async def test() -> None:
        turns = queue()
        with pytest.raises(ValueError, match="broken"):
            async with turns.turn("a"):
                raise ValueError("broken")

        async with turns.turn("b"):
            pass

    run(test)
