"""The command line: which commands there are, and what every one of them has in common."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from likeness.commands import document, keys, mcp, packs, server, stack, swap, trust
from likeness.errors import explain_and_exit
from likeness.setup import prepare

INTERRUPTED = 130  # as a shell reports a program that Ctrl-C has ended

app = typer.Typer(
    name="likeness",
    help="Register a face once; swap it into any image or video.",
    no_args_is_help=True,
    # The option for completion would write into the start-up files of the user's shell.
    add_completion=False,
    rich_markup_mode="markdown",
    # Pretty tracebacks can print local variables, and here those hold keys and consents.
    pretty_exceptions_enable=False,
)

app.command()(stack.up)
app.command()(stack.demo)
app.command()(swap.swap)
app.command()(swap.analyse)
app.command()(server.register)
app.command()(server.export)
app.command()(trust.verify)
app.command()(packs.doctor)
app.command()(document.openapi)
app.command()(mcp.mcp)
app.add_typer(packs.app, name="packs")
app.add_typer(keys.app, name="keys")
app.add_typer(server.app, name="jobs")
app.add_typer(trust.audit_app, name="audit")
app.add_typer(trust.trust_app, name="trust")


def _show_version(requested: bool) -> None:
    if requested:
        print(f"likeness {program_version()}")
        raise typer.Exit


@app.callback()
def common(
    shown: Annotated[
        bool,
        # Eager: it answers without a command, and before anything of the machine is touched.
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Register a face once; swap it into any image or video.

    Start with `likeness demo`, or with `likeness swap ada.jpg ben.jpg out.jpg`.
    """
    # Before every command: each reads its settings from the environment that this completes.
    prepare()


def program_version() -> str:
    """Return the installed version; of a checkout that is not installed, "unknown"."""
    try:
        return version("likeness")
    except PackageNotFoundError:
        return "unknown"


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; whatever fails is one sentence."""
    try:
        # In standalone mode Typer would print its own wording and leave the process.
        status = app(arguments, standalone_mode=False, prog_name="likeness")
    except (typer.Abort, KeyboardInterrupt):
        print("stopped", file=sys.stderr)
        return INTERRUPTED
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "likeness"
        problem = error.format_message().rstrip(".")
        if problem:  # there is none where no command was named: then the help is shown
            print(f"error: {problem}: see {where} --help", file=sys.stderr)

        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost handler words it, or raises it again
        return explain_and_exit(error)

    # A command that returns nothing has succeeded.
    return int(status or 0)
