"""What the documents promise: links lead somewhere, named bars and make targets exist, nothing
names a machine.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.bar import all_bars
from benchmarks.house.citations import (
    bars_without_one_row,
    lost_documents,
    lost_links,
    lost_sections,
    tracked,
)
from service.settings import Settings
from tests.material import ROOT
from worker.settings import JobSettings, MediaLimits, WorkerSettings

BAR = re.compile(r"BAR=([A-Z]+-\d+R?)")
TARGET = re.compile(r"(?:`|^)make ([a-z][a-z-]*)", re.MULTILINE)
SETTING = re.compile(r"LIKENESS_[A-Z][A-Z_]*[A-Z]\b")
OF_CLIENTS = {"LIKENESS_URL", "LIKENESS_API_KEY"}
FOR_TESTS = {
    "LIKENESS_KERNELS",
    "LIKENESS_SHARED",
    "LIKENESS_IMAGE_BASE",
}  # read by tests and training, not by the service
LONGEST_DECISION_LINES = 40


DOCUMENTS = tracked("*.md")


def test_links_resolve() -> None:
    assert list(lost_links()) == []


def test_every_document_named_in_the_code_exists() -> None:
    assert list(lost_documents()) == []


def test_every_section_named_in_the_code_exists() -> None:
    assert list(lost_sections()) == []


def test_every_bar_has_one_row_in_the_index_and_every_row_a_bar() -> None:
    assert bars_without_one_row() == set()


def test_every_bar_named_in_the_documents_exists() -> None:
    named = {name for document in DOCUMENTS for name in BAR.findall(document.read_text())}
    assert named
    assert named <= all_bars().keys()


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
    known = {f"LIKENESS_{name.upper()}" for name in fields} | of_jobs | OF_CLIENTS | FOR_TESTS
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
