"""Which files, faces and format the arguments of a swap name.

What is refused here, by a CommandError, is refused before a question is asked or a file decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from likeness.errors import CommandError
from worker.contract.options import FaceSelector, PersonSelector
from worker.formats import MEDIA_TYPES

# What a result's name may end with, and the format that it means.
SUFFIXES = {f".{name}": name for name in MEDIA_TYPES} | {".jpg": "jpeg", ".tif": "tiff"}
AS_THE_INPUT = frozenset({"avif", "tiff", "bmp"})  # written only where the target is one


def split_paths(paths: Sequence[Path]) -> Sequence[Path]:
    """Return the paths, of which there are three at least: sources, the target, the result."""
    if len(paths) < 3:
        raise CommandError(
            "a swap needs three files: likeness swap SOURCE... TARGET OUT, such as likeness swap"
            " ada.jpg ben.mp4 out.mp4"
        )
    return paths


def require_file(path: Path) -> Path:
    """Return the path of a file that is there."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise CommandError(f"{path} {what}: check its name")
    return path


def chosen_faces(people: Sequence[str], everybody: bool) -> tuple[FaceSelector, ...]:
    """Return the selectors for the people named, for everybody, or for the largest face."""
    # One of them would have to win silently, and the wrong faces would be swapped.
    if people and everybody:
        raise CommandError("--person and --all contradict each other: give one of them")
    if people:
        return tuple(PersonSelector(person_id=name) for name in people)

    whole: Literal["all", "largest"] = "all" if everybody else "largest"
    return (whole,)


def format_of(out: Path) -> str:
    """Return the format that the result's name says."""
    # The name decides: a file whose content and name differ opens nowhere.
    file_format = SUFFIXES.get(out.suffix.lower())
    if file_format is None:
        known = ", ".join(sorted(SUFFIXES))
        raise CommandError(f"the name of {out} does not say its format: end it with one of {known}")
    return file_format


def fitting_format(file_format: str, media_type: str, out: Path) -> str | None:
    """Return the format to ask for; None where the result has the target's own anyway."""
    is_same = MEDIA_TYPES[file_format] == media_type
    if file_format in AS_THE_INPUT and not is_same:
        raise CommandError(
            f"{out.suffix} is written only for a target of that format: end the name with .png"
        )
    # The worker's rule for "no format asked for" keeps the target's own, AVIF and TIFF included.
    if is_same:
        return None
    return file_format


def check_out(out: Path, target: Path, force: bool) -> None:
    """Refuse a place where the result could not be written, or would replace a file unasked."""
    # Resolved, or two spellings and symbolic links would get past.
    if out.resolve() == target.resolve():
        raise CommandError("the result would replace the target: give it another name")
    if out.exists() and not force:
        raise CommandError(f"{out} is there already: add --force to replace it")
    # Found out now: after minutes of swapping there would be nowhere to write to.
    if not out.parent.is_dir():
        raise CommandError(f"the folder {out.parent} is not there: make it first")
