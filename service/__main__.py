"""`python -m service up | serve | keys | audit | trust | acl`: the composition root.

It is that of everything but the worker.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys

from service.settings import Settings
from service.stack.api_keys import add_key_commands, create_first_key, run_key_command
from service.stack.audit_commands import add_audit_commands, run_audit_command
from service.stack.embedded_store import EmbeddedStoreError
from service.stack.stack import Stack, StackStartError, running
from service.stack.store_users import ROLES, acl
from service.stack.trust_commands import add_trust_commands, run_trust_command
from worker.errors import WorkerError

# Waits end within a second of the drain; what remains are uploads and downloads. The supervisor
# kills after 30 s.
GRACEFUL_SHUTDOWN_S = 20


async def up(settings: Settings) -> None:
    """Run the whole stack until SIGTERM or SIGINT.

    Raises EmbeddedStoreError, StackStartError or WorkerError when it does not come up.
    """
    # An event, not an exception: the stack is taken down in order, workers before the store.
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)

    serving = asyncio.create_task(_stay_up(settings))
    stopping = asyncio.create_task(stop.wait())
    # Either ends it: a signal, or a program of the stack that cannot be kept running.
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)

    if stopping.done():
        print("stopping ...", flush=True)
        serving.cancel()

    stopping.cancel()
    await asyncio.wait({serving})

    # Raises what ended the stack, so that the command fails with it.
    if not serving.cancelled():
        serving.result()


async def _stay_up(settings: Settings) -> None:
    async with running(settings) as stack:
        key = await asyncio.to_thread(create_first_key, stack.store_url)
        print(_announcement(stack, settings, key), flush=True)
        # For ever: `up` cancels this task.
        await asyncio.Event().wait()


def _announcement(stack: Stack, settings: Settings, key: str | None) -> str:
    shown = f"{key} (shown this once)" if key else "as before; another: likeness keys create"
    # What follows # stays in the browser: the key reaches no log.
    page = f"{stack.url}/#key={key}" if key else f"{stack.url}/"
    return "\n".join(
        [
            f"console    {page}",
            f"API        {stack.url} (documentation at /docs)",
            f"API key    {shown}",
            f"running    {', '.join(sorted(stack.supervisor.programs))}",
            f"logs       {settings.data_dir / 'logs'}",
            "Ctrl-C stops it.",
        ]
    )


def serve(settings: Settings, descriptor: int | None) -> int:
    """Answer HTTP on the address of the settings, or on a listening socket the supervisor
    opened.
    """
    import uvicorn

    from service.app import (
        create_app,
    )  # here, because the supervisor and the key commands do without FastAPI
    from service.protocol.connections import bounded_http
    from service.protocol.observability import log_json

    log_json()
    config = uvicorn.Config(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        http=bounded_http(settings.max_connections, settings.header_timeout_s),  # type: ignore[arg-type]
        # uvicorn would add handlers of its own and print the query strings of requests.
        log_config=None,
        # Versions help attackers more than clients.
        server_header=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
    )

    # A full garbage collection would examine everything that was imported, for a tenth of a second
    # in which no request is answered; what is here by now stays until the end.
    gc.collect()
    gc.freeze()

    server = uvicorn.Server(config)
    server.run(sockets=None if descriptor is None else [socket.socket(fileno=descriptor)])
    # uvicorn logs that a port is taken and returns as if all was well.
    return 0 if server.started else 1


def main() -> int:
    """Parse the command line and run one command.

    The exit status is 0 when it did what was asked.
    """
    parser = argparse.ArgumentParser(prog="python -m service", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="store, API and workers under one supervisor")
    commands.add_parser("serve", help="the API alone").add_argument(
        "--fd", type=int, help="an open listening socket"
    )
    commands.add_parser("acl", help="print the users that a store of your own should have")
    add_key_commands(commands.add_parser("keys", help="make, list, rotate and revoke API keys"))
    add_trust_commands(commands.add_parser("trust", help="show keys, rotate the mark key"))
    add_audit_commands(commands.add_parser("audit", help="verify or export the audit trail"))
    arguments = parser.parse_args()
    os.umask(0o077)  # whatever is written holds people's faces
    settings = Settings()

    try:
        return _run(arguments, settings)
    except (EmbeddedStoreError, StackStartError, WorkerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    match arguments.command:
        case "audit":
            run_audit_command(arguments, settings)
            return 0
        case "trust":
            run_trust_command(arguments, settings)
        case "serve":
            return serve(settings, arguments.fd)
        case "keys":
            run_key_command(arguments, settings.store_url)
        case "acl":
            print(acl({role: f">PASSWORD_OF_{role.upper()}" for role in ROLES}), end="")
        case "up":
            logging.basicConfig(level=logging.WARNING, format="%(message)s")
            asyncio.run(up(settings))

    return 0


if __name__ == "__main__":
    sys.exit(main())
