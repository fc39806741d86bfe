"""`likeness swap` and `likeness analyse` on real files, by the real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from likeness.cli import run
from tests.material import PACKS, SAMPLES

ADA = str(SAMPLES / "ada_neutral.jpg")
BEN = str(SAMPLES / "ben_neutral.jpg")
CONSENT = ("--consent", "ada@example.org")


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the command a data directory of its own, with the packs of the checkout."""
    monkeypatch.setenv("LIKENESS_PACKS_DIR", str(PACKS))
    monkeypatch.setenv("LIKENESS_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_swap_is_marked_recorded_and_verified(
    tmp_path: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.png"

    assert run(["swap", ADA, BEN, str(out), *CONSENT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    with Image.open(out) as image:
        assert image.format == "PNG"

    assert told["report"]["outcome"] == "succeeded"
    assert len(told["consent_receipt"]) == 64

    assert run(["verify", str(out)]) == 0
    assert "made_here" in capsys.readouterr().out
    left = list((data_dir / "command" / "staging").iterdir())
    assert not left, "working files are left behind"


def test_swap_needs_consent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"

    assert run(["swap", ADA, BEN, str(out)]) == 1
    assert "--consent" in capsys.readouterr().err
    assert not out.exists()


def test_target_without_a_face_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = tmp_path / "grey.png"
    Image.new("RGB", (320, 320), "grey").save(grey)
    out = tmp_path / "out.png"

    assert run(["swap", ADA, str(grey), str(out), *CONSENT]) == 1
    assert "face" in capsys.readouterr().err
    assert not out.exists()


def test_analysis_names_people_and_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["analyse", BEN, "--faces", str(tmp_path / "people")]) == 0
    assert capsys.readouterr().out.startswith("p1\t1\t")
    with Image.open(tmp_path / "people" / "p1.jpg") as image:
        assert image.size == (160, 160)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["swap", ADA, "out.png"], "three files"),
        (["swap", ADA, BEN, BEN, "--force", *CONSENT], "another name"),
        (["swap", ADA, BEN, "out.xyz", *CONSENT], "does not say its format"),
        (["swap", ADA, BEN, "no/out.png", *CONSENT], "make it first"),
        (["swap", ADA, BEN, "out.png", "--all", "--person", "p1"], "contradict"),
        (["swap", ADA, BEN, "out.png", *CONSENT, "--basis", "rumour"], "consent, self, contract"),
        (["swop"], "swop"),
    ],
)
def test_mistake_is_told_in_one_sentence(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert run(arguments) != 0
    said = capsys.readouterr().err
    assert words in said
    assert said.startswith("error: ")
    assert said.count("\n") == 1
