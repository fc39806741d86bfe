"""`likeness verify` and `likeness audit`: where a file comes from, and whether the trail holds."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from likeness.commands.swap import JsonOption
from likeness.commands.swap_arguments import require_file
from likeness.console import diverted_log, print_json
from likeness.setup import settings
from service.settings import Settings

# A video is handed on piece by piece and never held whole.
CHUNK_BYTES = 1 << 20
trust_app = typer.Typer(help="Show keys, rotate the mark key.", no_args_is_help=True)
audit_app = typer.Typer(help="Check the audit trail, or write it out.", no_args_is_help=True)


def verify(file: Path, as_json: JsonOption = False) -> None:
    """Say where a file comes from: its signature, its invisible mark, and our record of it.

    Exits with 1 unless it was made by this installation.

    Example: likeness verify out.jpg
    """
    require_file(file)
    chosen = settings()
    with diverted_log(chosen.data_dir / "logs" / "command.log"):
        verdict = asyncio.run(_verify(file, chosen))

    if as_json:
        print_json(verdict)
    else:
        print("\n".join(_in_words(verdict)))

    # For scripts: every other verdict, an unmarked file included, is a check that failed.
    if verdict["verdict"] != "made_here":
        raise typer.Exit(1)


@trust_app.command("show")
def trust_show() -> None:
    """Say which certificate signs results, and how many mark keys there are.

    Example: likeness trust show
    """
    # The keys' rooms load cryptography, which no other command needs.
    from service.stack.trust_commands import run_trust_command

    run_trust_command(Namespace(action="show"), settings())


@trust_app.command("rotate-mark-key")
def trust_rotate_mark_key() -> None:
    """Mark results of new jobs with a new key; older marks can still be read.

    Example: likeness trust rotate-mark-key
    """
    from service.stack.trust_commands import run_trust_command

    run_trust_command(Namespace(action="rotate-mark-key"), settings())


@audit_app.command("verify")
def audit_verify() -> None:
    """Check that no entry was changed, removed or slipped in.

    Example: likeness audit verify
    """
    from service.stack.audit_commands import run_audit_command

    run_audit_command(Namespace(action="verify"), settings())


@audit_app.command("export")
def audit_export(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
) -> None:
    """Write the entries and the signed heads as JSON lines.

    Example: likeness audit export
    """
    from service.stack.audit_commands import run_audit_command

    run_audit_command(Namespace(action="export", tenant=tenant), settings())


def _in_words(verdict: Mapping[str, Any]) -> list[str]:
    """Return the verdict in words, one line for each thing that was looked at."""
    record = verdict["record"]
    known = f"made here on {record['day']}" if record else "none"
    # Only our own keys can be tried: a mark of another installation reads as none.
    mark = {True: "of this installation", False: "none"}[verdict["mark"]["ours"]]

    return [
        f"verdict      {verdict['verdict']}",
        f"credentials  {verdict['c2pa']['state']}",
        f"mark         {mark}",
        f"record       {known}",
        *verdict["notes"],
    ]


async def _verify(file: Path, chosen: Settings) -> dict[str, Any]:
    # It brings in all of the service, which the commands beside it do not need.
    from service.composition import file_verifier
    from service.protocol.observability import Metrics
    from worker.provenance.provenance_store import ProvenanceStore
    from worker.provenance.trust_store import TrustStore
    from worker.stores.media.media_place import open_blobs

    trust = TrustStore(chosen.trust_dir, chosen.c2pa_chain, chosen.c2pa_key)
    # A new installation has no keys yet; without them nothing could be recognised as ours.
    trust.prepare()
    blobs = open_blobs(chosen.media, chosen.media_dir, chosen.media_cache_bytes)
    verifier = file_verifier(chosen, trust, ProvenanceStore(blobs), Metrics())

    try:
        return (await verifier.verify(_chunks(file))).model_dump(mode="json")
    finally:
        # Its child would outlive this process otherwise.
        await verifier.stop()


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            yield chunk
