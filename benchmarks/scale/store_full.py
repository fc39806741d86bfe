"""X-5: a store that is full says so, is not killed, and comes back with what it had."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

import yaml

from benchmarks.bar import Figure, bar
from tests.image.building import build_image, missing_tools
from tests.image.composition import COMPOSE, Composition, composition, podman
from tests.material import ROOT

SCRIPT = ROOT / "tests" / "image" / "full_store.py"
GIB = 1 << 30
MEANT = {
    "registration": "503 store_full",
    "swap": "503 store_full",
    "identity": "200",
    "identities": "200",
    "ready": "200",
}


@bar("X-5")
def store_full() -> Figure:
    """Answers of the API while the store is full, with the store's own settings of
    docker-compose.yml and of the manifests, in a container of the memory they allow; then the
    store rewrites its log, is killed, and must load it again.
    """
    if lacking := missing_tools():
        return Figure(f"{', '.join(lacking)} missing", "", "all as meant", False)

    image = build_image()
    settings = {"compose": {}, "kubernetes": {"valkey": _of_the_manifest()}}
    wrong = sum(_wrong_answers(name, image, changed) for name, changed in settings.items())
    return Figure(wrong, "answers not as meant", "0", wrong == 0)


def _wrong_answers(name: str, image: str, changed: Mapping[str, Mapping[str, Any]]) -> int:
    with composition(image, names=("valkey", "api"), changed=changed) as here:
        here.await_ready()
        key = here.create_key()
        told = here.ask(SCRIPT, key)
        podman("kill", f"{here.prefix}-valkey", check=False)
        podman("start", f"{here.prefix}-valkey")
        here.await_store()
        killed = here.inspect("valkey")["State"]["OOMKilled"]
        after = _read(here, key, told["identity"])

    print(f"{name}: {json.dumps(told)}; killed for memory: {killed}; read after a kill: {after}")
    answers: dict[str, str] = told["when_full"]
    wrong = sum(answers[what] != meant for what, meant in MEANT.items())
    return wrong + int(told["rewrite"] != "ok") + int(bool(killed)) + int(after != 200)


def _of_the_manifest() -> dict[str, Any]:
    """Return the manifest's store, described as docker-compose.yml would."""
    manifests = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "valkey.yaml").read_text())
    workload = next(m for m in manifests if m["kind"] == "StatefulSet")
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    requested, allowed = (
        int(container["resources"][kind]["memory"].removesuffix("Gi")) * GIB
        for kind in ("requests", "limits")
    )
    arguments = [a.replace("$(STORE_BYTES)", str(requested)) for a in container["args"]]
    command = ["valkey-server", *arguments]
    return {**COMPOSE["services"]["valkey"], "command": command, "mem_limit": str(allowed)}


def _read(here: Composition, key: str, identity: str) -> int:
    request = (
        "import httpx, sys; print(httpx.get('http://127.0.0.1:8000/v1/identities/' + sys.argv[1],"
        " headers={'Authorization': 'Bearer ' + sys.argv[2]}, timeout=30).status_code)"
    )
    try:
        return int(here.execute("api", "python3", "-c", request, identity, key))
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        print(error)
        return 0
