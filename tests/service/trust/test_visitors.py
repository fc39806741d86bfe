"""Bounds for callers without a key."""

from __future__ import annotations

from contextlib import suppress

import pytest

from service.protocol.problems import ServiceError
from service.trust.visitors import Visitors, network
from tests.clock import Clock


def visits(visitors: Visitors, address: str, count: int) -> int:
    """Try so many visits; return how many were let in."""
    allowed = 0
    for _ in range(count):
        with suppress(ServiceError), visitors.visit(address):
            allowed += 1

    return allowed


def test_a_refusal_says_how_long_to_wait() -> None:
    visitors = Visitors(per_minute=1)
    assert visits(visitors, "203.0.113.7", 1) == 1
    with pytest.raises(ServiceError, match="Too many") as refused, visitors.visit("203.0.113.7"):
        pass
    assert refused.value.code == "too_many_requests"
    assert 0 < int(refused.value.headers["Retry-After"]) <= 60


def test_a_network_has_so_many_a_minute() -> None:
    clock = Clock()
    visitors = Visitors(per_minute=3, clock=clock)
    assert visits(visitors, "203.0.113.7", 5) == 3
    assert visits(visitors, "203.0.113.200", 1) == 0
    assert visits(visitors, "203.0.114.7", 1) == 1
    clock.now += 61.0
    assert visits(visitors, "203.0.113.7", 1) == 1


def test_everybody_together_can_be_bounded() -> None:
    clock = Clock()
    visitors = Visitors(all_per_minute=4, clock=clock)
    addresses = [f"198.51.{number}.1" for number in range(10)]
    assert sum(visits(visitors, address, 1) for address in addresses) == 4
    clock.now += 61.0
    assert visits(visitors, "198.51.99.1", 1) == 1


def test_so_many_at_once() -> None:
    visitors = Visitors(at_once=1)
    with visitors.visit("203.0.113.7"), pytest.raises(ServiceError):  # noqa: SIM117
        with visitors.visit("203.0.113.8"):
            pass


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_addresses_count_for_their_network(address: str, expected: str) -> None:
    assert network(address) == expected
