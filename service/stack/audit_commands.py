"""`python -m service audit …`: verify the audit trail, or write it out for somebody else."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from service.settings import Settings
from worker.errors import WorkerError
from worker.provenance.audit.archive import AuditArchive
from worker.provenance.audit.lines import AuditFilter
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import AuditLog
from worker.stores.connection import connect


def add_audit_commands(parser: ArgumentParser) -> None:
    """Describe verify and export to argparse."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="verify|export")
    commands.add_parser("verify", help="check that no entry was changed, removed or slipped in")
    export = commands.add_parser("export", help="write the entries and the signed heads as JSON")
    export.add_argument("--tenant", help="of this tenant only")


def run_audit_command(arguments: Namespace, settings: Settings) -> None:
    """Do what was asked and print the outcome; raises AuditBroken, TrustKeyBroken."""
    trust = TrustStore(settings.trust_dir, settings.c2pa_chain, settings.c2pa_key)
    archive = AuditArchive(settings.audit_dir, trust.audit_key())

    if arguments.action == "verify":
        pending, count = _verify(archive, trust, settings)
        heads = archive.heads()
        newest = f"head signed at entry {heads[-1].seq}" if heads else "no head is signed yet"
        print(f"{count} entries are as they were written; {newest}; {pending} not archived yet")

        return

    # Line by line: a trail of years does not fit into memory.
    for line in archive.files.lines(AuditFilter(tenant=arguments.tenant)):
        print(json.dumps({"seq": line.entry.seq, **line.entry.body, "mac": line.mac}))

    for head in archive.heads():
        print(json.dumps({"head": asdict(head)}))


def _verify(archive: AuditArchive, trust: TrustStore, settings: Settings) -> tuple[int, int]:
    """Return how many entries are pending and how many are archived, all of them intact.

    The store says which numbers were given out; without it, a cut tail shows only up to the
    newest signed head.
    """
    try:
        with connect(settings.store_url) as redis:
            log = AuditLog(redis)
            pending = log.pending()
            # Pending entries are not expected in the files yet; everything before them is.
            archived = pending[0].seq - 1 if pending else log.last_seq()
    except WorkerError:
        print("the store does not answer: checked up to the signed head only", file=sys.stderr)
        return 0, archive.verify(trust.is_signed)

    return len(pending), archive.verify(trust.is_signed, archived)
