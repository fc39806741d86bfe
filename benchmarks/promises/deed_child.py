"""One of the API's decoding children, taken over: confined as they are, it does deeds.

The last argument says whether it is the probe or the verification child, else it is the enrolment
child.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.promises.deeds import Targets, attempt
from service.sandbox import enrolment_child, probe_child, verify_child
from service.sandbox.serving import Handle, Reply


def do(request: Mapping[str, Any], _files: Sequence[BinaryIO]) -> Reply:
    """Attempt the deed that is asked for."""
    return Reply({"outcome": attempt(request["deed"], Targets(**request["targets"]))})


def taken_over(
    pack_name: str, packs_root: Path, device: str, limits_json: str
) -> tuple[Handle, Mapping[str, Any]]:
    """Load as the enrolment child does, and answer with deeds."""
    # Its models are loaded first, as an attacker would find it: confinement holds before that.
    return do, enrolment_child.load(pack_name, packs_root, device, limits_json)[1]


if __name__ == "__main__":
    # Each child through its own entry point, so that its own rules are what is tried.
    match sys.argv[-1]:
        case "probe":
            probe_child.main(do)
        case "verify":
            verify_child.main(do)
        case _:
            enrolment_child.main(taken_over)
