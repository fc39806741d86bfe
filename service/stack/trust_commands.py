"""`python -m service trust …`: keys of marks and signatures."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from service.settings import Settings
from service.stack.api_keys import OPERATOR
from worker.errors import StoreError
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import AuditLog
from worker.stores.connection import connect


def add_trust_commands(parser: ArgumentParser) -> None:
    """Describe show and rotate-mark-key to argparse."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="show|rotate-mark-key")
    commands.add_parser(
        "show", help="say which certificate signs, and how many mark keys there are"
    )
    commands.add_parser(
        "rotate-mark-key",
        help="mark results of new jobs with a new key; older marks can still be read",
    )


def run_trust_command(arguments: Namespace, settings: Settings) -> None:
    """Do what was asked and print the outcome; raises TrustKeyBroken."""
    trust = TrustStore(settings.trust_dir, settings.c2pa_chain, settings.c2pa_key)
    trust.prepare()

    if arguments.action == "rotate-mark-key":
        # Rotated first: a key that leaked must go out of use even while the store is away.
        trust.mark_keys.rotate()
        _note_rotation(settings)

    whose = "the operator's" if settings.c2pa_chain else "this installation's own"
    mark_keys = len(trust.mark_keys.newest_first())
    print(f"signing certificate {trust.signer().key_id}, {whose}; {mark_keys} mark keys")


def _note_rotation(settings: Settings) -> None:
    try:
        with connect(settings.store_url) as redis:
            AuditLog(redis).append("mark_key.rotated", "", OPERATOR)
    except StoreError:
        print("the store does not answer: the rotation is not in the audit trail", file=sys.stderr)
