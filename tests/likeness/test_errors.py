"""Every failure is one sentence with the remedy."""

from __future__ import annotations

import errno

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from likeness.errors import CommandError, explain_and_exit, explained
from models.packs.errors import PackMissingError
from service.protocol.problems import ServiceError
from service.settings import Settings
from worker.errors import JobFailure, StoreUnavailable
from worker.failures import FailureCode
from worker.settings import JobSettings


def settings_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str | None:
    """Return what is said of a setting that the environment has wrong."""
    monkeypatch.setenv(name, value)
    with pytest.raises((ValidationError, SettingsError)) as caught:
        JobSettings() if "_JOBS_" in name else Settings()

    return explained(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("LIKENESS_DEVICE", "gpu", "it may be auto, cpu, openvino or cuda"),
        ("LIKENESS_PORT", "70000", "less than or equal to 65535"),
        ("LIKENESS_JOBS_MAX_JOBS", "0", "greater than or equal to 1"),
        ("LIKENESS_MAX_IMAGE_PIXELS", "many", "valid integer"),
        ("LIKENESS_CROSS_ORIGINS", "x", '["https://example.org"]'),
    ],
)
def test_bad_setting_is_named_with_what_it_may_be(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
) -> None:
    said = settings_error(monkeypatch, name, value)

    assert said is not None
    assert said.startswith(f"{name} ")
    assert remedy in said


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CommandError("do this"), "do this"),
        (PackMissingError("run likeness packs pull open"), "likeness packs pull open"),
        (ServiceError("consent_missing"), "--consent"),
        (ServiceError("several_faces"), "crop"),
        (JobFailure(FailureCode.FACE_NOT_FOUND, "Nobody."), "likeness analyse"),
        (StoreUnavailable(), "likeness up"),
        (FileNotFoundError(errno.ENOENT, "no", "a.jpg"), "a.jpg: there is no such file"),
        (ModuleNotFoundError("no", name="typer"), "typer is missing"),
    ],
)
def test_error_names_its_remedy(error: Exception, words: str) -> None:
    assert words in (explained(error) or "")


def test_bug_is_not_worded_away() -> None:
    with pytest.raises(ZeroDivisionError):
        explain_and_exit(ZeroDivisionError())

    assert explained(ModuleNotFoundError("no", name="worker.gone")) is None


def test_sentence_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status = explain_and_exit(CommandError("two\nlines"))

    assert status == 1
    assert capsys.readouterr().err == "error: two lines\n"
