"""`python -m service keys …`: make, list, rotate and revoke API keys.

Every change is in the audit log.
"""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from datetime import UTC, datetime

from redis import Redis

from worker.stores.audit_log import AuditLog
from worker.stores.connection import connect
from worker.stores.key_store import SCOPES, TENANT_SCOPES, ApiKey, KeyStore
from worker.stores.tenants import TENANT_NAME, TenantStore

DEFAULT_TENANT = "default"
OPERATOR = "operator"  # the audit log's actor for what is done on the machine itself
# Time to change the key in every program that holds it.
ROTATION_OVERLAP_S = 3600.0


def create_first_key(store_url: str) -> str | None:
    """Return a new key with every scope for an empty store, None when any key was ever made."""
    with connect(store_url) as redis:
        return (
            None
            if TenantStore(redis).names()
            else create_key(redis, DEFAULT_TENANT, SCOPES, "first key")
        )


def add_key_commands(parser: ArgumentParser) -> None:
    """Describe create, list, rotate and revoke to argparse."""
    commands = parser.add_subparsers(
        dest="action", required=True, metavar="create|list|rotate|revoke"
    )
    create = commands.add_parser("create", help="make a key and show it once")
    create.add_argument("--tenant", type=_tenant, default=DEFAULT_TENANT)
    create.add_argument(
        "--scopes",
        type=_scopes,
        default=TENANT_SCOPES,
        help=f"from {','.join(SCOPES)}; default all but operator",
    )
    create.add_argument("--name", default="", help="a note for the list")
    listing = commands.add_parser("list", help="show keys without their secrets")
    listing.add_argument("--tenant", help="of this tenant only")
    rotate = commands.add_parser(
        "rotate", help="replace a key; the old one stays valid for an hour"
    )
    revoke = commands.add_parser("revoke", help="end a key at once")

    for command in (rotate, revoke):
        command.add_argument("key_id")


def run_key_command(arguments: Namespace, store_url: str) -> None:
    """Do what was asked and print the outcome.

    Raises WorkerError when there is no such key or no store.
    """
    with connect(store_url) as redis:
        match arguments.action:
            case "create":
                print(create_key(redis, arguments.tenant, arguments.scopes, arguments.name))
            case "list":
                for row in list_keys(redis, arguments.tenant):
                    print("  ".join(row))
            case "rotate":
                print(rotate_key(redis, arguments.key_id))
            case "revoke":
                key = revoke_key(redis, arguments.key_id)
                print(f"revoked {key.id} of {key.tenant}")


def create_key(redis: Redis, tenant: str, scopes: Sequence[str], name: str) -> str:
    """Return the token of a new key; it is not shown again."""
    key, token = KeyStore(redis).create(
        tenant,
        # In the order of `SCOPES`, and typed.
        scopes=[scope for scope in SCOPES if scope in scopes],
        name=name,
    )
    # An operator on the machine has no key of their own to be named by.
    AuditLog(redis).append("key.created", tenant, OPERATOR, key.id)
    return token


def rotate_key(redis: Redis, key_id: str) -> str:
    """Return the token that replaces a key, which stays valid for an hour; raises UnknownKey."""
    key, token = KeyStore(redis).rotate(key_id, overlap_s=ROTATION_OVERLAP_S)
    AuditLog(redis).append("key.rotated", key.tenant, OPERATOR, key_id, replaced_by=key.id)
    return token


def revoke_key(redis: Redis, key_id: str) -> ApiKey:
    """End a key at once and return it; raises UnknownKey."""
    key = KeyStore(redis).revoke(key_id)
    AuditLog(redis).append("key.revoked", key.tenant, OPERATOR, key_id)
    return key


def list_keys(redis: Redis, tenant: str | None = None) -> list[tuple[str, ...]]:
    """Return id, tenant, state, day and minute, scopes and name of each key, none of its secret."""
    keys = KeyStore(redis)
    tenants = [tenant] if tenant else TenantStore(redis).names()
    return [_row(key) for each in tenants for key in keys.list(each)]


def _row(key: ApiKey) -> tuple[str, ...]:
    created = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%d %H:%M")
    scopes = ",".join(sorted(key.scopes))
    return (key.id, key.tenant, _state(key), created, scopes, key.name)


def _state(key: ApiKey) -> str:
    ends = [moment for moment in (key.revoked_at, key.expires_at) if moment is not None]
    return "valid" if not ends or min(ends) > datetime.now(UTC).timestamp() else "ended"


def _tenant(text: str) -> str:
    """Return a tenant's name that the key store accepts; an argparse type."""
    if not TENANT_NAME.fullmatch(text):
        raise ArgumentTypeError("a tenant's name has 1 to 63 of a-z, 0-9, _ and -")
    return text


def _scopes(text: str) -> tuple[str, ...]:
    """Return the known scopes in a comma-separated list; an argparse type."""
    scopes = tuple(text.split(","))
    if unknown := set(scopes) - set(SCOPES):
        raise ArgumentTypeError(f"unknown scopes: {', '.join(sorted(unknown))}")
    return scopes
