"""The quick start, the guides and the clients' pages are true: their code runs as it is written."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.material import CONSENT, PACKS, ROOT, SAMPLES
from tests.system.documents import blocks, ran
from tests.system.running_service import RunningService

DOCS = ROOT / "docs"
PAGES = (DOCS / "index.md", *sorted((DOCS / "guides").glob("*.md")), DOCS / "operations.md")
WITH_PYTHON = [
    page
    for page in (*PAGES, ROOT / "clients" / "python" / "README.md")
    if blocks(page.read_text(), "python")
]
TYPESCRIPT = ROOT / "clients" / "typescript"
# What needs another machine, and what begins a service that stays: README's test and the bars E-1
# and X-1 start services and the image.
LEFT_OUT = (
    "make up",
    "pip install",  # as root of an environment that this one shares
    "LIKENESS_DEVICE=cuda",
    "docker compose",
)
# A refused request is a failure of the page, which shows plain curl.
PRELUDE = 'curl() { command curl --fail-with-body --silent --show-error "$@"; }\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the pages speak of, and `likeness` to be called."""
    names = {
        "ada.jpg": "ada_neutral.jpg",
        "ada1.jpg": "ada_neutral.jpg",
        "ada2.jpg": "ada_smile.jpg",
    }
    names |= {"ben.jpg": "ben_neutral.jpg", "ben.mp4": "solo_720p30.mp4"}
    for name, sample in names.items():
        shutil.copy(SAMPLES / sample, tmp_path / name)

    program = tmp_path / "bin" / "likeness"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m likeness "$@"\n')
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def given(service: RunningService, ada: str) -> dict[str, str]:
    """What stands for the places in a page where a reader puts in their own."""
    image = service.upload((SAMPLES / "ben_neutral.jpg").read_bytes(), "image/jpeg").json()["id"]
    made = service.client.post("/v1/keys", json={"name": "of a page", "scopes": ["jobs:read"]})
    return {
        "http://127.0.0.1:8000": service.url,
        '"person_id": "p3"': '"person_id": "p2"',
        "idn_...": ada,
        "upl_...": image,
        "lk_...": str(service.key),
        "KEY_ID": made.json()["id"],
    }


def filled_in(code: str, given: dict[str, str]) -> str:
    for place, own in given.items():
        code = code.replace(place, own)
    return code


def environment_of(folder: Path, service: RunningService) -> dict[str, str]:
    return {
        "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(ROOT / "clients" / "python"),
        "LIKENESS_PACKS_DIR": str(PACKS),
        "LIKENESS_DATA_DIR": str(service.data_dir),
        "LIKENESS_URL": service.url,
        "LIKENESS_API_KEY": str(service.key),
        "URL": service.url,
        "KEY": str(service.key),
        "CONSENT": json.dumps(CONSENT),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_s_commands_run(
    page: Path, folder: Path, service: RunningService, given: dict[str, str]
) -> None:
    text = page.read_text()
    code = "\n".join([*blocks(text, "bash"), *blocks(text, "sh")])
    lines = [line for line in code.splitlines() if not line.startswith(LEFT_OUT)]
    script = PRELUDE + filled_in("\n".join(lines), given)

    ran(["bash", "-euo", "pipefail"], script, folder, environment_of(folder, service))
    for named in re.findall(r"-o (\w+\.jpg)", script):
        assert (folder / named).read_bytes()[:3] == b"\xff\xd8\xff", named


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_a_page_s_python_runs(
    page: Path, folder: Path, service: RunningService, given: dict[str, str]
) -> None:
    programs = [filled_in(program, given) for program in blocks(page.read_text(), "python")]
    # A page's second program goes on where the first one is: with a client that is still open.
    joined = "\n".join(programs[:1] + [_with_client(one) for one in programs[1:]])
    ran([sys.executable, "-"], joined, folder, environment_of(folder, service))
    assert (folder / "out.mp4").stat().st_size > 100_000


def _with_client(program: str) -> str:
    return program if "Client(" in program else f"client = Client()\n{program}"


@pytest.mark.skipif(not (TYPESCRIPT / "node_modules").is_dir(), reason="needs `npm ci` there")
def test_the_typescript_client_s_page_runs(
    folder: Path, service: RunningService, given: dict[str, str]
) -> None:
    program, _in_a_browser = blocks((TYPESCRIPT / "README.md").read_text(), "ts")
    # As a program of the package itself, which finds itself by its name once it is built.
    program = program.replace("likeness-client/node", str(TYPESCRIPT / "src" / "node.ts"))
    file = folder / "page.mts"
    file.write_text(filled_in(program, given))

    command = ["node", "--import", str(TYPESCRIPT / "node_modules" / "tsx" / "dist" / "loader.mjs")]
    ran([*command, str(file)], "", folder, environment_of(folder, service))
    assert (folder / "out.mp4").stat().st_size > 100_000


def test_what_a_page_has_make_do_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    for page in pages:
        if "node_modules" not in page.parts:
            named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text(), re.MULTILINE))
            assert named <= targets, (page.name, named - targets)


def test_compose_files_and_settings_that_a_page_names_exist() -> None:
    for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md")):
        for named in re.findall(r"-f (\S+\.yml)", page.read_text()):
            assert (ROOT / named).is_file(), (page.name, named)

    # Named by a page, and read by nobody: a setting that was renamed.
    source = "".join(path.read_text() for path in _sources())
    for page in (*ROOT.glob("*.md"), *DOCS.rglob("*.md")):
        for name in re.findall(r"LIKENESS_([A-Z_]+[A-Z])\b", page.read_text()):
            known = name.lower() in source or name in source
            short = re.sub(r"^(MAX|JOBS)_", "", name).lower()
            assert known or short in source, (page.name, name)


def _sources() -> list[Path]:
    rooms = ("likeness", "service", "worker", "models", "clients/python", "tests/image")
    programs = (path for room in rooms for path in (ROOT / room).rglob("*.py"))
    return [*programs, ROOT / "Dockerfile", *ROOT.glob("*.yml"), *(ROOT / "deploy").glob("*.yml")]
