"""`likeness up` and `likeness demo`: the whole service on this machine."""

from __future__ import annotations

import asyncio
import errno
import logging
from pathlib import Path
from typing import Annotated

import typer

from likeness.errors import CommandError
from likeness.setup import ensure_pack, settings

Host = Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 for every network.")]
Port = Annotated[
    int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 chooses a free one.")
]
Folder = Annotated[
    Path | None, typer.Option(help="Folder of the results; demo in the data directory without it.")
]


def up(host: Host = None, port: Port = None) -> None:
    """Run the service here: store, API and workers, until Ctrl-C.

    Fetches the models the first time. Prints the URL, and an API key when there is none yet.

    Examples:

        likeness up

        likeness up --port 8001
    """
    from service.__main__ import up as stay_up

    # The terminal is for the URL and the key; the processes write logs of their own.
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    chosen = settings(host=host, port=port)
    ensure_pack(chosen)

    try:
        asyncio.run(stay_up(chosen))
    except OSError as error:
        raise _unable_to_listen(error, chosen.host, chosen.port) from error


def demo(folder: Folder = None) -> None:
    """Swap a face into a portrait and a video through a running service, and show the results.

    Starts a service of its own for that, and stops it. Fetches the models the first time.

    Examples:

        likeness demo

        likeness demo --folder /tmp/demo
    """
    from service.stack.demo import DemoError
    from service.stack.demo import demo as run

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    chosen = settings()
    ensure_pack(chosen)
    results = (folder or chosen.data_dir / "demo").resolve()

    # The default folder belongs to the demo and is replaced; one that was named is somebody's.
    if folder is not None and results.exists() and any(results.iterdir()):
        raise CommandError(f"{results} is not empty: name a new folder")

    try:
        asyncio.run(run(results, chosen))
    except DemoError as error:
        logs = results / "state" / "logs"
        raise CommandError(f"the demo failed: {error} (its logs are in {logs})") from error


def _unable_to_listen(error: OSError, host: str, port: int) -> Exception:
    """Return what to tell about an address that cannot be listened on."""
    match error.errno:
        case errno.EADDRINUSE:
            return CommandError(
                f"port {port} of {host} is taken: stop the program that uses it, or take another,"
                # 65535 has no next.
                f" such as likeness up --port {port + 1 if port < 65535 else 8000}"
            )
        # For any other port it is no question of privileges, and the system's own words are right.
        case errno.EACCES if 0 < port < 1024:
            return CommandError(
                f"port {port} is reserved for the system: take one above 1023, such as likeness up"
                " --port 8000"
            )
        case errno.EADDRNOTAVAIL:
            return CommandError(
                f"{host} is no address of this machine: take 127.0.0.1, or 0.0.0.0 for all"
            )

    return error
