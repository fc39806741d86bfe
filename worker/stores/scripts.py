"""The Lua scripts that run in the store: each is one step, seen whole or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from redis import Redis
from redis.commands.core import Script

from worker.errors import StoreUnavailable
from worker.stores.connection import Reply, reaching, version_of
from worker.stores.keys import lua_names

# Beside this module, so that a wheel carries them along.
LUA = Path(__file__).parent / "lua"
# A busy disk syncs within a second; longer, and a client should rather try again.
DURABILITY_TIMEOUT_MS = 2000


class Scripts:
    """The scripts of `worker/stores/lua`, each called with one JSON object of named arguments."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        # By name, since registering reads the file; the server keeps the script by its hash.
        self._loaded: dict[str, Script] = {}

    def run(
        self,
        name: str,
        arguments: Mapping[str, Any],
        client: Redis | None = None,
        blob: bytes | None = None,
    ) -> Reply:
        """Run a script and return its answer.

        `blob` reaches it as a second argument, because JSON carries no bytes.

        Raises:
            StoreUnavailable, StoreFull
        """
        # Lua reads a JSON null as a true value, so what is not there is left out.
        given = {key: value for key, value in arguments.items() if value is not None}
        with reaching():
            parts: list[str | bytes] = (
                [json.dumps(given)] if blob is None else [json.dumps(given), blob]
            )
            return self._script(name)(args=parts, client=client)

    def run_durably(self, name: str, arguments: Mapping[str, Any]) -> Reply:
        """Run a script and return its answer once what it wrote is durable.

        That is: on the store's disk, where the store can say so, and in the memory of as many
        replicas as the client asks for.

        Raises:
            StoreFull
            StoreUnavailable: also when the disk or the replicas took too long; what the script
            wrote may still hold.
        """
        with (
            reaching(),
            Redis(
                # WAIT and WAITAOF speak of what their own connection has written.
                connection_pool=self._redis.connection_pool,
                single_connection_client=True,
            ) as connection,
        ):
            answer = self.run(name, arguments, client=connection)
            # Not pipelined with the script: the server would then wait for its next cron tick (100
            # ms).
            if self._waits_for_disk:
                local, _ = _ask_again(connection, "WAITAOF", 1, 0, DURABILITY_TIMEOUT_MS)
                if not local:
                    raise StoreUnavailable(
                        "The job store's disk does not keep up; try again shortly."
                    )

            # Replicas follow by themselves, but a primary that dies loses what it has sent
            # nobody: without this, a failover loses jobs that were acknowledged.
            replicas = getattr(self._redis, "replicas", 0)
            if replicas:
                reached = _ask_again(connection, "WAIT", replicas, DURABILITY_TIMEOUT_MS)
                if reached < replicas:
                    raise StoreUnavailable(
                        f"Only {reached} of {replicas} replicas of the job store have what was"
                        " written; try again shortly."
                    )

            return answer

    @cached_property
    def _version(self) -> tuple[int, ...]:
        return version_of(self._redis.info("server"))

    @cached_property
    def _waits_for_disk(self) -> bool:
        # Without an append-only file there is no disk to wait for.
        return self._version >= (7, 2) and bool(self._redis.info("persistence").get("aof_enabled"))

    def _script(self, name: str) -> Script:
        if name not in self._loaded:
            self._loaded[name] = self._redis.register_script(
                _source(name, with_flags=self._version >= (7, 0))
            )
        return self._loaded[name]


def _ask_again(client: Redis, *command: str | int) -> Reply:
    """Send a command over the very connection that wrote.

    The client would connect anew where that one broke, and a connection that has written nothing
    is told at once that everybody has what it wrote.
    """
    wire = client.connection
    if wire is None:
        raise StoreUnavailable

    wire.send_command(*command, check_health=False)  # type: ignore[no-untyped-call]
    return wire.read_response()


def _source(name: str, with_flags: bool) -> str:
    """Return a script's text, after the names of the keys that it uses.

    `-- uses: x` brings x.lua in, `-- flags: f` becomes a shebang where servers know one (7.0).
    """
    text = (LUA / f"{name}.lua").read_text()
    used = "".join(
        (LUA / f"{module}.lua").read_text()
        for module in re.findall(r"^-- uses: (\w+)$", text, re.M)
    )
    flags = re.search(r"^-- flags: (\S+)$", text, re.M)
    shebang = f"#!lua flags={flags[1]}\n" if flags and with_flags else ""
    names = lua_names(set(re.findall(r"\bkey\.(\w+)\(", used + text)))

    return shebang + names + used + text
