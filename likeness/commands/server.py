"""`likeness register` and `likeness jobs`: a running service, spoken to by the published client."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from likeness.commands.consent import Adult, BasisOption, Evidence, Subject, consent_record
from likeness.commands.swap import JsonOption
from likeness.commands.swap_arguments import require_file
from likeness.console import print_json, print_table, progress_bar
from likeness.errors import CommandError
from likeness_client import Client, Consent, Job, Progress
from likeness_client.models import STATUSES

Url = Annotated[
    str | None, typer.Option("--url", envvar="LIKENESS_URL", help="Of the service; this machine's.")
]
Key = Annotated[
    str | None, typer.Option("--key", envvar="LIKENESS_API_KEY", help="An API key, lk_...")
]
Photos = Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="1 to 8, of one person.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="As likeness jobs list shows it.")]

# The API's words. They are repeated here because this room speaks to a service that may be another
# version, by the client alone.
FORMS = ("litert", "onnx")
FORM_USES = "litert is for phones, onnx for browsers and the console's Live."
SCOPES = ("image", "video", "export")

app = typer.Typer(help="Jobs of a running service.", no_args_is_help=True)


def register(
    photos: Photos,
    consent: Subject = None,
    basis: BasisOption = "consent",
    evidence: Evidence = None,
    adult: Adult = False,
    scope: Annotated[str, typer.Option(help=f"What the person agreed to: {','.join(SCOPES)}.")] = (
        "image,video"
    ),
    name: Annotated[str | None, typer.Option(help="A name for the list.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: JsonOption = False,
) -> None:
    """Register a person with a running service and print the identity's id.

    Example: likeness register ada1.jpg ada2.jpg --consent ada@example.org --key lk_...
    """
    # Before the question about consent: a misspelt name should not cost an answer.
    for photo in photos:
        require_file(photo)

    # Asked for in any case: whether this service requires one is known to the service alone.
    given = consent_record(consent, basis, evidence, adult, required=True)
    record = None
    if given is not None:
        # The client's own type: it shares no code with the service, so that it can be installed
        # alone.
        record = Consent(
            subject=given.subject,
            basis=given.basis,
            scope=_scope(scope),
            granted_at=given.granted_at,
            evidence_sha256=given.evidence_sha256,
            adult=given.adult,
        )

    with client(url, key) as service:
        identity = service.register(*photos, consent=record, name=name)

    if as_json:
        print_json(asdict(identity))
    else:
        print(identity.id)


def export(
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="Its id, idn_...")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The zip archive to write.")],
    form: Annotated[str, typer.Option(metavar="|".join(FORMS), help=FORM_USES)] = "litert",
    url: Url = None,
    key: Key = None,
) -> None:
    """Write an identity as a file that swaps on a phone or in a browser.

    The person's consent must name the scope export: likeness register --scope image,video,export.

    Example: likeness export idn_06avht3z9r7gqc2m5w8kxy4n1p ada.zip
    """
    if form not in FORMS:
        raise CommandError(f"--form is {form!r}: it may be {' or '.join(FORMS)}")

    with client(url, key) as service:
        service.export(identity, out, form)


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help=f"One of {', '.join(STATUSES)}.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """List jobs, newest first.

    Example: likeness jobs list --status failed
    """
    if status is not None and status not in STATUSES:
        raise CommandError(f"--status is {status!r}: it may be {', '.join(STATUSES)}")

    with client(url, key) as service:
        rows = [_row(job) for job in service.jobs(status=status)]

    print_table(("job", "kind", "status", "made", "done"), rows)


@app.command()
def show(job: JobId, url: Url = None, key: Key = None) -> None:
    """Print a job with its report, as JSON.

    Example: likeness jobs show job_06avht5b1h7s4d9f2q6tjw3e8r
    """
    with client(url, key) as service:
        print_json(asdict(service.job(job)))


@app.command()
def wait(job: JobId, url: Url = None, key: Key = None) -> None:
    """Follow a job to its end.

    Example: likeness jobs wait job_06avht5b1h7s4d9f2q6tjw3e8r
    """
    # The bar on standard error: standard output has one line, the outcome.
    with client(url, key) as service, progress_bar(Console(stderr=True)) as bar:
        watching = bar.add_task("waiting", total=None)

        def watch(progress: Progress) -> None:
            # The total is 0 until the video was planned; a bar of 0 would look finished.
            bar.update(watching, completed=progress.done, total=progress.total or None)

        ended = service.wait(job, watch)

    print(f"{ended.id} {ended.status}")


@app.command()
def result(
    job: JobId,
    out: Annotated[Path, typer.Argument(metavar="OUT")],
    url: Url = None,
    key: Key = None,
) -> None:
    """Fetch a job's result.

    Example: likeness jobs result job_06avht5b1h7s4d9f2q6tjw3e8r out.mp4
    """
    with client(url, key) as service:
        service.download(service.job(job), out)


@app.command()
def cancel(job: JobId, url: Url = None, key: Key = None) -> None:
    """Ask a job to end.

    Example: likeness jobs cancel job_06avht5b1h7s4d9f2q6tjw3e8r
    """
    with client(url, key) as service:
        print(service.cancel(job).status)


def client(url: str | None, key: str | None) -> Client:
    """Return a client of the service; raises CommandError when no key is given."""
    return Client(url, require_key(key))


def require_key(key: str | None) -> str:
    """Return the API key that was given; raises CommandError when there is none."""
    if not key:
        raise CommandError(
            "an API key is needed: give --key or set LIKENESS_API_KEY (likeness keys create makes"
            " one)"
        )
    return key


def _scope(text: str) -> list[Literal["image", "video", "export"]]:
    """Return the uses that a comma-separated list names; raises CommandError."""
    requested = text.split(",")
    if unknown := [each for each in requested if each not in SCOPES]:
        raise CommandError(f"--scope names {', '.join(unknown)}: they are {', '.join(SCOPES)}")
    return requested  # type: ignore[return-value]


def _row(job: Job) -> tuple[str, ...]:
    # To the minute: seconds would push the table over 80 columns.
    done = f"{job.progress.done}/{job.progress.total}" if job.progress.total else ""
    return (job.id, job.kind, job.status, job.created_at[:16].replace("T", " "), done)
