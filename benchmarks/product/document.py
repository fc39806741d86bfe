"""E-3: the OpenAPI document, by linters, by its own words, and by clients that are made of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bar import Figure, bar
from benchmarks.product.command import likeness
from benchmarks.product.receiver import receiving
from tests.material import ROOT, SAMPLES
from tests.system.running_service import RunningService

CHECKS = ROOT / "clients" / "checks"
GENERATED = CHECKS / "generated"
PROGRAMS: Mapping[str, Sequence[str]] = {
    "openapi-python-client": (sys.executable, "programs/generated_python.py"),
    "openapi-typescript": ("npx", "tsx", "programs/generated_types.ts"),
    "@hey-api/openapi-ts": ("npx", "tsx", "programs/generated_hey.ts"),
}
TOOL_TIMEOUT_S = 600
# The receiver is on this machine, where no webhook may go unless the operator says so.
TRUSTED = {"LIKENESS_TRUSTED_NETWORKS": '["127.0.0.0/8"]'}


@bar("E-3")
def document() -> Figure:
    """Findings of linters, members without a word, and generated clients that do not work."""
    GENERATED.mkdir(exist_ok=True)
    path = GENERATED / "openapi.json"
    # By the published command, as somebody who makes a client would.
    likeness("openapi", "--out", path)
    if not (CHECKS / "node_modules").is_dir():
        _ran(("npm", "ci", "--no-fund", "--no-audit"))

    # At their strictest: hints and warnings count as findings.
    linters = [
        ("npx", "spectral", "lint", "--fail-severity=hint", str(path)),
        ("npx", "redocly", "lint", "--config", "redocly.yaml", "--max-problems=50", str(path)),
    ]
    findings = sum(
        not _ran(linter, silent_when=r"[1-9]\d* (warning|problem)") for linter in linters
    )
    bare = list(_without_words(json.loads(path.read_text())))
    print(f"without a description: {', '.join(bare) or 'nothing'}")
    broken = _broken_clients(path)

    faults = findings + len(bare) + len(broken)
    return Figure(
        faults, "linters with findings, members without words, broken clients", "0", not faults
    )


def _without_words(document: dict[str, Any]) -> Iterator[str]:
    """Yield the name of every property, parameter and operation that is not described."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not operation.get("description"):
                yield f"{method} {path}"
            for parameter in operation.get("parameters", ()):
                if not parameter.get("description"):
                    yield f"{method} {path} {parameter['name']}"

    # Anywhere in the document: a schema may be written in place as well.
    for part in _objects(document):
        properties = part.get("properties")
        if part.get("type") == "object" and isinstance(properties, dict):
            for name, member in properties.items():
                if not member.get("description"):
                    yield f"{part.get('title')}.{name}"


def _objects(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON
    if isinstance(part, dict):
        yield part
        part = list(part.values())

    if isinstance(part, list):
        for item in part:
            yield from _objects(item)


def _broken_clients(path: Path) -> list[str]:
    generators = [
        (
            *(str(Path(sys.executable).with_name("openapi-python-client")), "generate"),
            *("--path", str(path), "--output-path", str(GENERATED / "generated")),
            *("--meta", "none", "--overwrite", "--fail-on-warning"),
        ),
        ("npx", "openapi-typescript", str(path), "-o", str(GENERATED / "schema.d.ts")),
        ("npx", "openapi-ts", "-i", str(path), "-o", str(GENERATED / "hey")),
        ("npx", "tsc", "-p", "."),
    ]
    # Not stopped at the first: each generator is another reader of the document.
    broken = [command[1] for command in generators if not _ran(command)]

    with tempfile.TemporaryDirectory() as name:
        data = Path(name)
        # Programs in three languages look for webhooks there: a folder is what all of them can
        # read.
        received = data / "received"
        received.mkdir()
        with RunningService(data / "stack", TRUSTED) as service, receiving(received) as hook:
            environment = {
                "URL": service.url,
                "KEY": str(service.key),
                "SAMPLES": str(SAMPLES),
                "WEBHOOK": hook,
                "RECEIVED": str(received),
                "PYTHONPATH": str(GENERATED),
            }
            broken += [name for name, run in PROGRAMS.items() if not _ran(run, environment)]

    return broken


def _ran(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    silent_when: str = "",
) -> bool:
    """Return whether a tool exits with 0 and says nothing like `silent_when`; print its words."""
    # The environment's programs are in no PATH that a shell has not activated.
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=CHECKS,
        env=os.environ | {"PATH": tools} | dict(environment or {}),
        capture_output=True,
        text=True,
        timeout=TOOL_TIMEOUT_S,
    )
    said = done.stdout + done.stderr
    fine = done.returncode == 0 and not (silent_when and re.search(silent_when, said))

    if fine:
        last = said.strip().splitlines()
        print(f"{' '.join(command[:2])}: {last[-1] if last else 'no findings'}")
    else:
        print(f"{' '.join(command)}: {done.returncode}\n{said[-3000:]}")

    return fine
