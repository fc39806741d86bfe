"""Bars of keys and of the audit trail: who can read them, and that a change shows."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.bar import Figure, bar
from benchmarks.promises.cage import API_CHILDREN
from benchmarks.promises.deeds import Targets
from benchmarks.promises.targets import targets_on
from benchmarks.stack import Stack, running_stack, stopwatch
from benchmarks.trust.running import Service, service
from service.sandbox.child import SandboxedChild
from tests.material import PACKS, ROOT, SAMPLES
from worker.contract.requests import JobPayload, JobRequest
from worker.provenance.trust_store import TrustStore

# The deed that opens a file; it is aimed at each key in turn.
READ = "read_a_foreign_upload"
PORTRAIT = (SAMPLES / "ben_neutral.jpg").read_bytes()


@bar("T-4")
def decoders_cannot_read_keys() -> Figure:
    """Every process that decodes tries to open every key; who may read the files."""
    with stopwatch(300), running_stack() as here, targets_on(here.store, PACKS / "open") as targets:
        trust = TrustStore(here.bench.data_dir / "trust")
        trust.prepare()
        # All that lies there: a key that is added later is tried without a change here.
        keys = sorted(path for path in trust.directory.iterdir())
        modes = {stat.S_IMODE(path.stat().st_mode) for path in keys}
        said: dict[str, dict[str, str]] = {}

        for child, arguments in API_CHILDREN.items():
            said[child] = asyncio.run(_tried_by(arguments, keys, targets))

        here.add_worker("image", "image", False, use_cases="benchmarks.promises.deed_use_cases")
        here.await_workers(1)
        said["worker"] = {key.name: _tried_by_worker(here, key, targets) for key in keys}

    for child, outcomes in said.items():
        print(f"{child:10} {outcomes}", flush=True)

    folder = stat.S_IMODE(trust.directory.stat().st_mode) if trust.directory.exists() else 0o700
    print(f"modes of {len(keys)} key files {[oct(mode) for mode in modes]}, folder {folder:o}")
    read = sum("Error" not in word for outcomes in said.values() for word in outcomes.values())
    return Figure(read, "keys read by decoders", "0, files 0600", read == 0 and modes == {0o600})


@bar("T-14")
def the_trail_is_whole_and_changes_show() -> Figure:
    """Outputs, refusals and changes of the list in the trail; an edit, a cut, a rewritten chain."""
    with stopwatch(300), service("image") as here:
        _live(here)
        events = [body["event"] for body in here.archived()]
        # What docs/trust.md says is in the trail.
        wanted = (
            *("identity.registered", "identity.used", "output.marked", "request.refused"),
            *("blocklist.added", "blocklist.hit", "blocklist.removed", "policy.changed"),
        )
        missing = [event for event in wanted if event not in events]
        print(f"{len(events)} entries; missing: {missing or 'none'}")

        trust = here.trust
        # A rewritten chain shows only against a head that was signed before.
        here.archive.sign_head(trust.signer().sign, 0.0, force=True)
        clean = _verifies(here)
        caught = {name: _is_caught(here, change) for name, change in CHANGES.items()}
        print(f"verifies as it is: {clean}; found: {caught}")

    found = sum(caught.values())
    holds = clean and not missing and found == len(CHANGES)
    return Figure(found, f"of {len(CHANGES)} changes found", f"= {len(CHANGES)}", holds)


def _live(here: Service) -> None:
    """Have everything happen that the trail must tell."""
    identity = here.register("ada_neutral").raise_for_status().json()["id"]
    assert here.swap("image", identity, PORTRAIT)["status"] == "succeeded"

    photo = {"image": ("b.jpg", (SAMPLES / "ben_smile.jpg").read_bytes(), "image/jpeg")}
    entry = here.client.post("/v1/blocklist", files=photo, data={"label": "case"})
    # The entry is made from another photo of the same person, as an operator's would be.
    assert here.register("ben_neutral").status_code == 403
    refused = here.swap("image", identity, PORTRAIT)
    assert refused["error"]["code"] == "identity_blocked", refused["error"]
    here.client.delete(f"/v1/blocklist/{entry.json()['id']}").raise_for_status()


def _verifies(here: Service) -> bool:
    """Run the command that an operator runs; whether it finds the trail as it was written."""
    environment = {
        "LIKENESS_DATA_DIR": str(here.data_dir),
        "LIKENESS_REDIS_URL": here.stack.store.url,
    }
    # In a process of its own, from files alone: what an auditor can do.
    command = [sys.executable, "-m", "service", "audit", "verify"]
    ended = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, timeout=60
    )
    return ended.returncode == 0


def _is_caught(here: Service, change: Callable[[Service, Path], None]) -> bool:
    """Make a change to the trail, look whether it is found, and undo it."""
    day = sorted((here.data_dir / "audit").glob("*.jsonl"))[-1]
    before = day.read_bytes()
    change(here, day)
    caught = not _verifies(here)
    # Undone, so that each change is found by itself.
    day.write_bytes(before)
    return caught


def _edit(_here: Service, day: Path) -> None:
    day.write_text(day.read_text().replace("identity_blocked", "identity_allowed", 1))


def _remove(_here: Service, day: Path) -> None:
    # From the middle; a cut at the end is a change of its own, below.
    lines = day.read_text().splitlines(keepends=True)
    day.write_text("".join(lines[:2] + lines[3:]))


def _cut_the_tail(_here: Service, day: Path) -> None:
    day.write_text("".join(day.read_text().splitlines(keepends=True)[:-2]))


def _rewrite_with_the_key(here: Service, day: Path) -> None:
    """Chain all entries again after an edit, as somebody who has the chain's key can."""
    archive = here.archive
    previous = "0" * 64
    lines = []

    for line in archive.files.lines():
        body = dict(line.entry.body)
        body["actor"] = "nobody" if body["event"] == "identity.used" else body["actor"]
        entry = type(line.entry)(seq=line.entry.seq, body=body)
        # By the archive's own function, as somebody who has its key could.
        mac = archive._mac(previous, entry)
        kept = {"seq": entry.seq, "previous": previous, "body": body, "mac": mac}
        lines.append(json.dumps(kept) + "\n")
        previous = mac

    day.write_text("".join(lines))


CHANGES: Mapping[str, Callable[[Service, Path], None]] = {
    "an edit": _edit,
    "a removed entry": _remove,
    "a cut tail": _cut_the_tail,
    "a rewritten chain": _rewrite_with_the_key,
}


async def _tried_by(arguments: list[str], keys: list[Path], targets: Targets) -> dict[str, str]:
    child = SandboxedChild("benchmarks.promises.deed_child", arguments, 60, lambda: None)
    outcomes = {}
    try:
        await child.start()
        for key in keys:
            aimed = targets.model_copy(update={"upload": str(key)}).model_dump()
            reply = await child.ask({"deed": READ, "targets": aimed}, [], 20)
            outcomes[key.name] = str(reply.header["outcome"])
    finally:
        await child.stop()

    return outcomes


def _tried_by_worker(here: Stack, key: Path, targets: Targets) -> str:
    bench = here.bench
    payload = JobPayload(kind="swap_image", tenant="acme", input_id=bench.upload())
    aimed = targets.model_copy(update={"upload": str(key)}).model_dump()
    request = JobRequest(payload, metadata={"deed": READ, "targets": aimed})
    job = bench.stores.jobs.admit(request).job
    bench.stores.queue.deliver("image")
    return str(bench.wait_for(job, timeout_s=60).report.get("outcome", "done"))
