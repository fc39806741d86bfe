"""What the documents promise: links lead somewhere, named bars and make targets exist, nothing
names a machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.settings import Settings
from worker.settings import JobSettings, MediaLimits, WorkerSettings

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
DOCUMENT = re.compile(r"[\w./-]+\.md\b")
BAR = re.compile(r"BAR=([A-Z]-\d+)")
TARGET = re.compile(r"(?:`|^)make ([a-z][a-z-]*)", re.MULTILINE)
SETTING = re.compile(r"LIKENESS_[A-Z][A-Z_]*[A-Z]\b")
FOR_TESTS = {
    "LIKENESS_SHARED",
    "LIKENESS_IMAGE_BASE",
}  # read by tests and training, not by the service
LONGEST_DECISION_LINES = 40


def tracked(*patterns: str) -> list[Path]:
    """Files under version control, new ones included, that still exist."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and (ROOT / name).is_file()]


def bar_names() -> set[str]:
    """Return the names of all bars that can be measured."""
    command = [sys.executable, "-m", "benchmarks"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return set(re.findall(r"[A-Z]+-\d+R?", listing.stderr.split("there are:")[1]))


DOCUMENTS = tracked("*.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_resolve(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        if not re.match(r"https?:|mailto:|#", target):
            assert (document.parent / target.split("#")[0]).exists(), (
                f"{document.name} links to {target}"
            )


def test_every_document_named_in_the_code_exists() -> None:
    missing = {
        f"{source.relative_to(ROOT)}: {name}"
        for source in tracked(
            "*.py", "*.lua", "*.toml", "*.yml", "*.yaml", "Makefile", "Dockerfile"
        )
        for name in DOCUMENT.findall(source.read_text())
        if not any((place / name).exists() for place in (ROOT, source.parent, ROOT / "docs"))
    }
    assert missing == set()


def test_every_section_named_in_the_code_exists() -> None:
    headings = set(re.findall(r"^## (\d+)\.", (ROOT / "docs" / "method.md").read_text(), re.M))
    cited = {
        number
        for source in tracked("*.py")
        for number in re.findall(r"docs/method\.md (\d+)", source.read_text())
    }

    assert cited
    assert cited <= headings


def test_every_bar_has_a_row_in_the_index() -> None:
    rows = set(re.findall(r"^\| ([A-Z]+-\d+R?) \|", (ROOT / "docs" / "bars.md").read_text(), re.M))
    assert sorted(bar_names() - rows) == []


def test_every_bar_named_in_the_documents_exists() -> None:
    listing = subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    known = set(re.findall(r"[A-Z]-\d+", listing.stderr.split("there are:")[1]))
    named = {name for document in DOCUMENTS for name in BAR.findall(document.read_text())}
    assert named
    assert named <= known


def test_every_make_target_named_in_the_documents_exists() -> None:
    targets = set(
        re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    )
    code = [
        line
        for document in DOCUMENTS
        for line in re.findall(r"`make [^`]+`|^make .*$", document.read_text(), re.M)
    ]

    named = {TARGET.match(line)[1] for line in code}
    assert named
    assert named <= targets


def test_every_setting_named_in_the_documents_exists() -> None:
    limits = {f"max_{name}" for name in MediaLimits.model_fields}
    fields = {*Settings.model_fields, *WorkerSettings.model_fields, *limits}
    of_jobs = {f"LIKENESS_JOBS_{name.upper()}" for name in JobSettings.model_fields}
    known = {f"LIKENESS_{name.upper()}" for name in fields} | of_jobs | FOR_TESTS
    named = {name for document in DOCUMENTS for name in SETTING.findall(document.read_text())}
    assert named
    assert named <= known


@pytest.mark.parametrize("decision", tracked("docs/decisions/*.md"), ids=lambda path: path.stem)
def test_decisions_are_short(decision: Path) -> None:
    assert len(decision.read_text().splitlines()) < LONGEST_DECISION_LINES
    assert "**Status:**" in decision.read_text()


def test_no_file_names_a_machine() -> None:
    private = re.compile(rb"/work/(main|shared)|/home/[a-z]+/|/root/|/Users/[a-z]+/")
    texts = [
        path for path in tracked() if path.suffix not in (".jpg", ".mp4", ".png", ".onnx", ".npz")
    ]
    named = [
        str(path) for path in texts if path != Path(__file__) and private.search(path.read_bytes())
    ]
    assert named == []
