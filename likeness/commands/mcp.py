"""`likeness mcp`: tools for language models, on standard input and output."""

from __future__ import annotations

from likeness.commands.server import Key, Url, require_key
from likeness.errors import CommandError


def mcp(url: Url = None, key: Key = None) -> None:
    """Serve the tools register, swap, status, result and people by the Model Context Protocol.

    Needs a running service, its key, and the extra mcp: pip install 'likeness[mcp]'.

    Example: likeness mcp --key lk_...
    """
    api_key = require_key(key)

    try:
        from likeness.mcp_server import server
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("mcp"):
            # Anything else that is missing is a broken installation, which no extra would repair.
            raise
        raise CommandError("MCP is not installed: run pip install 'likeness[mcp]'") from error

    from likeness_client import AsyncClient

    # From here on standard output carries the protocol: nothing may be printed.
    server(AsyncClient(url, api_key)).run("stdio")
