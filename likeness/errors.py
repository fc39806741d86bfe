"""Every failure as one sentence with the remedy: the only place where the command words errors.

CommandError is for what the command itself refuses; all other errors are those of the rooms below,
which bring a stable code and a sentence that is safe to show.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from likeness import OWN_PACKAGES
from likeness_client import ConnectionFailed, LikenessError
from models.inference.errors import InferenceError
from models.packs.errors import PackError
from service.protocol.problems import ServiceError
from service.settings import Settings
from service.stack.embedded_store import EmbeddedStoreError
from service.stack.stack import StackStartError
from worker.errors import JobFailure, StoreUnavailable, WorkerError
from worker.settings import JobSettings, MediaLimits, WorkerSettings

MODELS: tuple[type[BaseSettings], ...] = (Settings, WorkerSettings, JobSettings, MediaLimits)

# What to do about a refusal, where its own sentence does not say.
REMEDIES: Mapping[str, str] = {
    "consent_missing": "name who agreed with --consent, such as --consent ada@example.org",
    "consent_expired": "ask for a new consent",
    "no_face": "use an image or video that shows a face from the front",
    "several_faces": "crop the photo to the one person who is meant",
    "photos_disagree": "give photos of one person only",
    "low_quality": "use a sharper, larger photo from the front",
    "face_not_found": "likeness analyse FILE shows who is in it",
    "nobody_swapped": "likeness analyse FILE shows who is in it and how they are seen",
    "age_unsure": "an adult who looks younger than 25 needs --adult and --evidence FILE",
    "enrolment_unavailable": "likeness doctor says what is wrong",
    "child_failed": "likeness doctor says what is wrong",
    "child_lost": "try again; a smaller file needs less memory",
    "undecodable": "check that the file opens elsewhere, or save it anew",
    "store_unavailable": "start the service first: likeness up",
    "trust_key_broken": "see docs/trust.md, or move the trust directory away for new keys",
}


class CommandError(Exception):
    """What the command cannot do, as one sentence with the remedy."""


def explained(error: BaseException) -> str | None:
    """Return the sentence for an error, or None when it is a bug of ours."""
    for kinds, word in _WORDINGS:
        if isinstance(error, kinds):
            return word(error)

    return None


def explain_and_exit(error: BaseException) -> int:
    """Print the sentence for an error and return the exit status; raises what is a bug."""
    sentence = explained(error)
    # A traceback is right for a bug: it says where, and cannot be mistaken for the user's fault.
    if sentence is None:
        raise error

    print(f"error: {_one_line(sentence)}", file=sys.stderr)
    return 1


def setting_name(model: type[BaseSettings], field: str) -> str:
    """Return the environment variable that sets a field."""
    return f"{model.model_config.get('env_prefix', '')}{field}".upper()


def _one_line(text: str) -> str:
    # Libraries word over several lines; scripts read the last line of standard error.
    return " ".join(text.split())


def _with_remedy(code: str, sentence: str) -> str:
    remedy = REMEDIES.get(code, "")
    # Some sentences say it already, as "crop it to the person" does.
    is_said = remedy.partition(" ")[0] in sentence.split()
    return sentence if is_said or not remedy else f"{sentence.rstrip('.')}: {remedy}"


def _setting(error: BaseException) -> str:
    """Name the setting, what it is and what it may be."""
    assert isinstance(error, ValidationError)  # noqa: S101 - the table says so
    # One mistake at a time: the next one shows when this one is corrected.
    first = error.errors()[0]
    # pydantic gives the model's name only, as the title of its error.
    model = next((one for one in MODELS if one.__name__ == error.title), Settings)
    field = str(first["loc"][0]) if first["loc"] else ""

    return f"{setting_name(model, field)} is {first['input']!r}: {_accepted(model, field, first)}"


def _accepted(model: type[BaseSettings], field: str, finding: Mapping[str, object]) -> str:
    info = model.model_fields.get(field)
    choices = get_args(info.annotation) if info else ()

    if choices and all(isinstance(choice, str) for choice in choices):
        return f"it may be {', '.join(map(str, choices[:-1]))} or {choices[-1]}"

    # The shipped value shows the form that is expected better than a rule does.
    default = (
        "" if info is None else f" (as shipped: {info.get_default(call_default_factory=True)})"
    )
    return f"{str(finding['msg']).replace('Input', 'it')}{default}"


def _unreadable_setting(error: BaseException) -> str:
    """Word a setting that is to be JSON and is not."""
    # The error has no member for the field: it stands quoted in the text.
    field = str(error).split('"')[1] if '"' in str(error) else "a setting"
    return (
        f"{setting_name(Settings, field)} cannot be read: it is a list in JSON, such as"
        ' ["https://example.org"]'
    )


def _system(error: BaseException) -> str:
    """Word what the system refuses, about the file it names."""
    assert isinstance(error, OSError)  # noqa: S101 - the table says so
    about = f"{error.filename}: " if error.filename else ""
    remedies = {
        errno.ENOENT: "there is no such file; check its name",
        errno.EACCES: "this user may not open it; change its permissions or choose another",
        errno.ENOSPC: "the disk is full; make room and try again",
        errno.EISDIR: "it is a folder, and a file is meant",
        errno.ENOTDIR: "a part of its path is a file; choose another",
        errno.EROFS: "it lies on a read-only disk; choose another with LIKENESS_DATA_DIR",
    }
    # Lower case, since it follows the file's name and a colon.
    sentence = remedies.get(error.errno or 0, (error.strerror or str(error)).lower())
    return f"{about}{sentence}"


def _missing_module(error: BaseException) -> str | None:
    """Word a library that is not installed; a module of our own that is missing is a bug."""
    assert isinstance(error, ModuleNotFoundError)  # noqa: S101 - the table says so
    name = (error.name or "").partition(".")[0]
    if not name or name in OWN_PACKAGES:
        return None

    return f"the Python package {name} is missing: run pip install 'likeness' in {sys.prefix}"


def _job(error: BaseException) -> str:
    assert isinstance(error, JobFailure)  # noqa: S101 - the table says so
    return _with_remedy(error.code, error.message)


def _store(error: BaseException) -> str:
    # The embedded store listens in the data directory: a wrong directory looks like no service.
    folder = Path(str(Settings().data_dir))
    return f"no running service was found at {folder}: start it with likeness up"


def _coded(error: BaseException) -> str:
    return _with_remedy(str(getattr(error, "code", "")), str(error))


def _unreachable(error: BaseException) -> str:
    # The client appends the system's own words in parentheses; they do not help a user.
    return f"{str(error).split(' (')[0]}: start it with likeness up, or give another --url"


def _refused(error: BaseException) -> str:
    """Word a service's refusal; its own sentence comes first."""
    assert isinstance(error, LikenessError)  # noqa: S101 - the table says so
    remedies = {
        **REMEDIES,
        # Of a running service only, so that they are not in the table above.
        "unauthorized": "give a valid key with --key; likeness keys create makes one",
        "forbidden": "use a key with that scope; likeness keys list shows them",
        "not_found": "check the id; likeness jobs list shows jobs",
    }
    remedy = remedies.get(error.code)
    return f"{error.detail.rstrip('.')}: {remedy}" if remedy else error.detail


def _plain(error: BaseException) -> str:
    return str(error)


# The first kind that fits words it. A subclass stands above its base: JobFailure and
# StoreUnavailable are WorkerErrors, ConnectionFailed is a LikenessError.
_WORDINGS: tuple[tuple[type[BaseException], Callable[[BaseException], str | None]], ...] = (
    (CommandError, _plain),
    (ValidationError, _setting),
    (SettingsError, _unreadable_setting),
    (PackError, _plain),
    (EmbeddedStoreError, _plain),
    (StackStartError, _plain),
    (JobFailure, _job),
    (StoreUnavailable, _store),
    (ConnectionFailed, _unreachable),
    (LikenessError, _refused),
    (WorkerError, _coded),
    (ServiceError, _coded),
    (InferenceError, _coded),
    (ModuleNotFoundError, _missing_module),
    (OSError, _system),
)
