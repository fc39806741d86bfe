"""The README is true: its commands run as written; commands that a document names exist."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.material import PACKS, ROOT, SAMPLES
from tests.system.documents import blocks, ran
from tests.system.running_service import RunningService, image_at

README = (ROOT / "README.md").read_text()
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
# What prepares an environment is the bar E-1's; these two go on until they are stopped.
LEFT_OUT = ("make setup", "export PATH", "likeness up", "likeness demo")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in which the README's paths lead somewhere, with `likeness` to be called."""
    samples = tmp_path / "service" / "samples"
    shutil.copytree(ROOT / "service" / "samples", samples)
    program = tmp_path / "bin" / "likeness"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m likeness "$@"\n')
    program.chmod(0o755)
    return tmp_path


def environment_of(folder: Path, service: RunningService) -> dict[str, str]:
    return {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "clients" / "python"),
        "LIKENESS_PACKS_DIR": str(PACKS),
        "LIKENESS_DATA_DIR": str(folder / "data"),
        "LIKENESS_URL": service.url,
        "LIKENESS_API_KEY": str(service.key),
    }


def test_commands_run_as_written(folder: Path, service: RunningService) -> None:
    lines = [
        line
        for block in blocks(README, "sh")
        for line in block.splitlines()
        if not line.startswith(LEFT_OUT)
    ]
    script = "\n".join(lines).replace("lk_...", str(service.key))
    script = script.replace("http://127.0.0.1:8000", service.url)
    printed = ran(["bash", "-euo", "pipefail"], script, folder, environment_of(folder, service))

    assert "made_here" in printed
    assert image_at(folder / "ben_over_http.jpg") == image_at(SAMPLES / "ben_neutral.jpg")
    assert (folder / "ben_as_ada.jpg").stat().st_size > 10_000
    assert (folder / "duet.mp4").stat().st_size > 100_000


def test_five_lines_of_python_swap_a_video(folder: Path, service: RunningService) -> None:
    (program,) = blocks(README, "python")
    ran([sys.executable, "-"], program, folder, environment_of(folder, service))
    assert (folder / "solo_as_ada.mp4").stat().st_size > 100_000


def named_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each `likeness ...` in code, without what follows a comment."""
    code = re.findall(r"`(likeness [^`\n]+)`", text)
    for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        code += re.findall(r"(?:^|\$\()(likeness [^\n)]+)", block, re.MULTILINE)

    for line in code:
        yield shlex.split(line.replace("...", ""), comments=True)[1:]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_a_document_names_exist(document: Path) -> None:
    from likeness.cli import app

    for words in named_commands(document.read_text()):
        helped = helps(app, words)
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        missing = [option for option in options if option not in helped]
        assert not missing, (document.name, words, missing)


def helps(app: object, words: list[str]) -> str:
    """Return the names of options that the command which `words` begin with has."""
    from typer.main import get_command

    command = get_command(app)
    names = {"--help", *(name for each in command.params for name in each.opts)}

    for word in words:
        commands = getattr(command, "commands", None)
        if commands is None or word.startswith("--"):
            break

        assert word in commands, f"there is no likeness {' '.join(words)}"
        command = commands[word]
        names |= {name for each in command.params for name in each.opts}

    return " ".join(names)
