"""`likeness swap` and `likeness analyse`: no server, the worker's own engine and rules."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.progress import Progress

from likeness.commands.consent import Adult, BasisOption, Evidence, Subject, consent_record
from likeness.console import diverted_log, print_json, print_table, progress_bar
from likeness.errors import CommandError
from likeness.setup import settings
from worker.contract.options import FaceSelector, OutputOptions, PersonSelector, SwapOptions
from worker.formats import MEDIA_TYPES
from worker.settings import WorkerSettings

# What a result's name may end with, and the format that it means.
SUFFIXES = {f".{name}": name for name in MEDIA_TYPES} | {".jpg": "jpeg", ".tif": "tiff"}
AS_THE_INPUT = frozenset({"avif", "tiff", "bmp"})  # written only where the target is one

Paths = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE... TARGET OUT",
        help="Photos of one person; then the"
        " image or video to swap in; then the result, whose name says its format.",
    ),
]
PersonOption = Annotated[
    list[str] | None,
    typer.Option(
        "--person", help="Whom to replace, as named by likeness analyse; may be repeated."
    ),
]
AllOption = Annotated[bool, typer.Option("--all", help="Replace everybody.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace OUT if it is there.")]
AudioOption = Annotated[bool, typer.Option("--mute", help="Leave the sound out.")]
MaxSideOption = Annotated[
    int | None, typer.Option(min=16, max=8192, help="Scale the result down to this many pixels.")
]
FacesOption = Annotated[
    Path | None, typer.Option("--faces", help="A folder for an image of each person found.")
]


def swap(
    paths: Paths,
    person: PersonOption = None,
    everybody: AllOption = False,
    consent: Subject = None,
    basis: BasisOption = "consent",
    evidence: Evidence = None,
    adult: Adult = False,
    max_side: MaxSideOption = None,
    mute: AudioOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Swap the person of SOURCE into TARGET and write OUT; needs no running service.

    The largest face is replaced unless --person or --all says otherwise. The rules are those of the
    service: consent, refusals, the invisible mark and the signature of the result.

    Examples:

        likeness swap ada.jpg ben.jpg out.jpg --consent ada@example.org

        likeness swap ada1.jpg ada2.jpg party.mp4 out.mp4 --person p2 --consent ada@example.org
    """
    from likeness.local.identity import register
    from likeness.local.target import examine
    from likeness.local.workshop import Made, workshop

    *sources, target_path, out = _split(paths)
    faces = _faces(person or [], everybody)
    suffix_format = _format(out)
    _check_out(out, target_path, force)
    chosen = settings()
    record = consent_record(consent, basis, evidence, adult, required=chosen.require_consent)

    for path in sources:
        _require_file(path)
    target = examine(_require_file(target_path), chosen)
    file_format = _fitting(suffix_format, target.media_type, out)
    options = SwapOptions(
        output=OutputOptions(format=file_format, max_side=max_side),  # type: ignore[arg-type]
        audio="drop" if mute else "copy",
    )

    with (
        diverted_log(chosen.data_dir / "logs" / "command.log") as terminal,
        workshop(target.swap_kind, WorkerSettings()) as place,
        progress_bar(terminal, quiet=as_json) as bar,
    ):
        watching = bar.add_task("registering", total=None)
        identity = register(sources, record, chosen)
        identity.require_allowed(target.swap_kind, chosen.require_consent)
        bar.update(watching, description="swapping")
        made: Made = place.swap(target, identity, faces, options, _watch(bar, watching))
        shutil.copyfile(made.file, out)

    if as_json:
        facts = {"file": str(out), "sha256": made.result.sha256, "bytes": made.result.bytes}
        consented = {"consent_receipt": identity.record.consent_receipt}
        print_json({**facts, "seconds": round(made.seconds, 2), **consented, "report": made.report})
    else:
        print(_told(out, made.report, made.seconds))


def analyse(target: Path, faces: FacesOption = None, as_json: JsonOption = False) -> None:
    """Say who is in an image or video: the names that `likeness swap --person` takes.

    Examples:

        likeness analyse party.mp4

        likeness analyse party.mp4 --faces people/
    """
    from likeness.local.target import examine
    from likeness.local.workshop import workshop

    chosen = settings()
    examined = examine(_require_file(target), chosen)

    with (
        diverted_log(chosen.data_dir / "logs" / "command.log") as terminal,
        workshop("analysis", WorkerSettings()) as place,
        progress_bar(terminal, quiet=as_json) as bar,
    ):
        watching = bar.add_task("looking", total=None)
        made = place.analyse(examined, _watch(bar, watching))
        found = json.loads(made.file.read_text())

    if faces is not None:
        _write_faces(faces, found["people"])
    if as_json:
        print_json(found)
    elif not found["people"]:
        print("Nobody was found.")
    else:
        print_table(
            ("person", "frames", "from", "to", "turned"), [_row(p) for p in found["people"]]
        )


def _split(paths: Sequence[Path]) -> Sequence[Path]:
    if len(paths) < 3:
        raise CommandError(
            "a swap needs three files: likeness swap SOURCE... TARGET OUT, such as likeness swap"
            " ada.jpg ben.mp4 out.mp4"
        )
    return paths


def _require_file(path: Path) -> Path:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise CommandError(f"{path} {what}: check its name")
    return path


def _faces(people: Sequence[str], everybody: bool) -> tuple[FaceSelector, ...]:
    if people and everybody:
        raise CommandError("--person and --all contradict each other: give one of them")
    if people:
        return tuple(PersonSelector(person_id=name) for name in people)

    whole: Literal["all", "largest"] = "all" if everybody else "largest"
    return (whole,)


def _format(out: Path) -> str:
    file_format = SUFFIXES.get(out.suffix.lower())
    if file_format is None:
        known = ", ".join(sorted(SUFFIXES))
        raise CommandError(f"the name of {out} does not say its format: end it with one of {known}")
    return file_format


def _fitting(file_format: str, media_type: str, out: Path) -> str | None:
    """Return the format to ask for; None where the result has the target's own anyway."""
    is_same = MEDIA_TYPES[file_format] == media_type
    if file_format in AS_THE_INPUT and not is_same:
        raise CommandError(
            f"{out.suffix} is written only for a target of that format: end the name with .png"
        )
    if is_same:
        return None
    return file_format


def _check_out(out: Path, target: Path, force: bool) -> None:
    if out.resolve() == target.resolve():
        raise CommandError("the result would replace the target: give it another name")
    if out.exists() and not force:
        raise CommandError(f"{out} is there already: add --force to replace it")
    if not out.parent.is_dir():
        raise CommandError(f"the folder {out.parent} is not there: make it first")


def _watch(bar: Progress, task: Any) -> Any:  # noqa: ANN401 - rich's TaskID and our Watch
    def watch(done: int, total: int | None, unit: str) -> None:
        bar.update(task, completed=done, total=total)

    return watch


def _told(out: Path, report: dict[str, Any], seconds: float) -> str:
    """Return what happened, in words: one line for the file, one for each person."""
    lines = [f"{out} ({report['outcome']}, {seconds:.1f} s)"]
    for face in report["faces"]:
        skipped = ", ".join(
            f"{count} left alone ({why})" for why, count in face["frames_skipped"].items()
        )
        lines.append(
            f"  {face['person_id']}: swapped in {face['frames_swapped']} of {face['frames_seen']}"
            f" frames{', ' + skipped if skipped else ''}"
        )

    provenance = report.get("provenance", {})
    if provenance.get("mark_id"):
        lines.append(f"  marked {provenance['mark_id']}; likeness verify {out} reads it back")

    return "\n".join(lines)


def _row(person: dict[str, Any]) -> tuple[str, ...]:
    low, high = person["yaw_range_deg"]
    return (
        person["person_id"],
        str(person["frames"]),
        f"{person['first_seen_s']:.1f} s",
        f"{person['last_seen_s']:.1f} s",
        f"{low:.0f} to {high:.0f} degrees",
    )


def _write_faces(folder: Path, people: Sequence[dict[str, Any]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for person in people:
        if person["thumbnail"]:
            data = base64.b64decode(person["thumbnail"].partition(",")[2])
            (folder / f"{person['person_id']}.jpg").write_bytes(data)
