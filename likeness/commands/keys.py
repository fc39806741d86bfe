"""`likeness keys`: who may use the service. Needs a running service on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from likeness.console import print_table
from likeness.errors import CommandError
from likeness.setup import settings
from worker.stores.connection import connect
from worker.stores.key_store import SCOPES, TENANT_SCOPES
from worker.stores.tenants import TENANT_NAME

# Not those of the operator, who has to name them: they reach every tenant.
EVERY_SCOPE = ",".join(TENANT_SCOPES)

app = typer.Typer(help="Make, list, rotate and revoke API keys.", no_args_is_help=True)

Tenant = Annotated[str, typer.Option(help="Whose objects the key reaches.")]
Scopes = Annotated[str, typer.Option(help=f"What it may do: some of {','.join(SCOPES)}.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="As likeness keys list shows it.")]


@app.command()
def create(
    tenant: Tenant = "default",
    scopes: Scopes = EVERY_SCOPE,
    name: Annotated[str, typer.Option(help="A note for the list.")] = "",
) -> None:
    """Make a key and show it, this once.

    Example: likeness keys create --scopes jobs:write,jobs:read --name phone
    """
    from service.stack.api_keys import create_key

    # Checked before the store is connected to: a mistake must not look like a service that is down.
    if not TENANT_NAME.fullmatch(tenant):
        raise CommandError(
            f"--tenant is {tenant!r}: a tenant's name has 1 to 63 of a-z, 0-9, _ and -"
        )
    requested = scopes.split(",")
    if unknown := sorted(set(requested) - set(SCOPES)):
        raise CommandError(f"--scopes names {', '.join(unknown)}: they are {', '.join(SCOPES)}")

    with connect(settings().store_url) as store:
        # Nothing but the key, for KEY=$(likeness keys create).
        print(create_key(store, tenant, requested, name))


@app.command("list")
def list_all(
    tenant: Annotated[str | None, typer.Option(help="Of this tenant only.")] = None,
) -> None:
    """Show the keys without their secrets.

    Example: likeness keys list
    """
    from service.stack.api_keys import list_keys

    with connect(settings().store_url) as store:
        rows = list_keys(store, tenant)

    print_table(("key", "tenant", "state", "made", "scopes", "name"), rows)


@app.command()
def rotate(key_id: KeyId) -> None:
    """Replace a key; the old one stays valid for an hour.

    Example: likeness keys rotate 3f9c0d1e
    """
    from service.stack.api_keys import rotate_key

    with connect(settings().store_url) as store:
        print(rotate_key(store, key_id))


@app.command()
def revoke(key_id: KeyId) -> None:
    """End a key at once.

    Example: likeness keys revoke 3f9c0d1e
    """
    from service.stack.api_keys import revoke_key

    with connect(settings().store_url) as store:
        key = revoke_key(store, key_id)

    print(f"revoked {key.id} of {key.tenant}")
