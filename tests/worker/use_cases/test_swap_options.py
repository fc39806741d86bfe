"""What a job's payload means to the engine."""

from __future__ import annotations

from models.inference.options import SwapOptions
from worker.contract import options as contract
from worker.use_cases.identity_loader import swap_options


def test_what_a_caller_leaves_out_is_what_the_engine_recommends() -> None:
    assert swap_options(contract.SwapOptions()) == SwapOptions()
