"""`likeness swap` and `likeness analyse`: no server, the worker's own engine and rules."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from likeness.commands.consent import Adult, BasisOption, Evidence, Subject, consent_record
from likeness.commands.swap_arguments import (
    check_out,
    chosen_faces,
    fitting_format,
    format_of,
    require_file,
    split_paths,
)
from likeness.console import diverted_log, print_json, print_table, progress_bar
from likeness.setup import settings
from worker.contract.options import OutputOptions, SwapOptions
from worker.settings import WorkerSettings

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
    # With these come OpenCV and the engine: `likeness --help` must not wait for them.
    from likeness.local.identity import register
    from likeness.local.local_worker import local_worker
    from likeness.local.target import examine

    *sources, target_path, out = split_paths(paths)
    # Whatever names and options alone can refuse is refused before a question is asked or a model
    # is loaded.
    faces = chosen_faces(person or [], everybody)
    suffix_format = format_of(out)
    check_out(out, target_path, force)
    chosen = settings()
    record = consent_record(consent, basis, evidence, adult, required=chosen.require_consent)

    # A missing photo is told before the target is decoded, which takes a child.
    for path in sources:
        require_file(path)
    target = examine(require_file(target_path), chosen)
    file_format = fitting_format(suffix_format, target.media_type, out)
    options = SwapOptions(
        output=OutputOptions(format=file_format, max_side=max_side),  # type: ignore[arg-type]
        audio="drop" if mute else "copy",
    )

    with (
        # The log first: children inherit the descriptor that it diverts. The worker before the
        # registration, so that models load while photos are encoded.
        diverted_log(chosen.data_dir / "logs" / "command.log") as terminal,
        local_worker(target.swap_kind, WorkerSettings()) as worker,
        progress_bar(terminal, quiet=as_json) as bar,
    ):
        watching = bar.add_task("registering", total=None)
        identity = register(sources, record, chosen)
        # The service's own check, though the record was made a moment ago: its rules decide, not
        # ours.
        identity.require_allowed(target.swap_kind, chosen.require_consent)
        bar.update(watching, description="swapping")
        finished = worker.swap(target, identity, faces, options, _watch(bar, watching))
        # A copy: the worker removes its directory, and OUT may lie on another file system.
        shutil.copyfile(finished.file, out)

    if as_json:
        facts = {"file": str(out), "sha256": finished.result.sha256, "bytes": finished.result.bytes}
        consented = {"consent_receipt": identity.record.consent_receipt}
        print_json(
            {**facts, "seconds": round(finished.seconds, 2), **consented, "report": finished.report}
        )
    else:
        print(_in_words(out, finished.report, finished.seconds))


def analyse(target: Path, faces: FacesOption = None, as_json: JsonOption = False) -> None:
    """Say who is in an image or video: the names that `likeness swap --person` takes.

    Examples:

        likeness analyse party.mp4

        likeness analyse party.mp4 --faces people/
    """
    from likeness.local.local_worker import local_worker
    from likeness.local.target import examine

    chosen = settings()
    examined = examine(require_file(target), chosen)

    with (
        diverted_log(chosen.data_dir / "logs" / "command.log") as terminal,
        local_worker("analysis", WorkerSettings()) as worker,
        progress_bar(terminal, quiet=as_json) as bar,
    ):
        watching = bar.add_task("looking", total=None)
        finished = worker.analyse(examined, _watch(bar, watching))
        found = json.loads(finished.file.read_text())

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


def _watch(bar: Progress, task: Any) -> Any:  # noqa: ANN401 - rich's TaskID and our Watch
    def watch(done: int, total: int | None, unit: str) -> None:
        bar.update(task, completed=done, total=total)

    return watch


def _in_words(out: Path, report: dict[str, Any], seconds: float) -> str:
    """Return what happened, in words: one line for the file, one for each person."""
    lines = [f"{out} ({report['outcome']}, {seconds:.1f} s)"]
    for face in report["faces"]:
        # Nobody wanted them swapped: a count would look like a failure.
        if face.get("assignment") is None and not face["frames_swapped"]:
            lines.append(f"  {face['person_id']}: left alone")
            continue

        skipped = ", ".join(
            f"{count} left alone ({why})" for why, count in face["frames_skipped"].items()
        )
        lines.append(
            f"  {face['person_id']}: swapped in {face['frames_swapped']} of {face['frames_seen']}"
            f" frames{', ' + skipped if skipped else ''}"
        )

    provenance = report.get("provenance", {})
    # An operator may have turned marks off; then there is nothing to verify.
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
            # A data URL: its payload follows the comma.
            data = base64.b64decode(person["thumbnail"].partition(",")[2])
            (folder / f"{person['person_id']}.jpg").write_bytes(data)
