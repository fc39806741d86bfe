"""`likeness openapi`: the API's description, for generators of clients and for linters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from likeness.setup import settings

Out = Annotated[Path | None, typer.Option(help="A file for it; standard output without.")]


def openapi(out: Out = None) -> None:
    """Print the OpenAPI document, as a running service answers it at /openapi.json.

    Example: likeness openapi --out openapi.json
    """
    # All routes come with it, which no other command needs.
    from service.app import create_app

    # With these settings, since the document names the public address.
    text = json.dumps(create_app(settings()).openapi(), indent=2)
    if out is None:
        print(text)
    else:
        # A final line break, as print gives one: both ways give the same bytes.
        out.write_text(text + "\n")
