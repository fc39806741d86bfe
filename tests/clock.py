"""The time as tests set it, for everything that takes a clock."""

from __future__ import annotations

# A moment in 2027: no test may depend on the day that it runs, nor on being near the epoch.
BEGINNING = 1_800_000_000.0


class Clock:
    """Stands still until a test moves it: `clock.now += 60`. Seconds since the epoch."""

    def __init__(self, now: float = BEGINNING) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
