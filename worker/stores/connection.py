"""The connection to the store, what it must be able to do, and the Lua scripts that run in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias, cast

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.errors import StoreFull, StoreUnavailable, StoreUnsuitable
from worker.stores.addresses import sentinel_address
from worker.stores.keys import lua_names

Reply: TypeAlias = Any  # what a script returns: bytes, integers and lists of them
# Beside this module, so that a wheel carries them along.
LUA = Path(__file__).parent / "lua"
# A busy disk syncs within a second; longer, and a client should rather try again.
DURABILITY_TIMEOUT_MS = 2000
# How a server that takes no writes says so: its disk is full, or its replicas are away.
NOT_NOW = ("MISCONF", "NOREPLICAS")


class StoreClient(Redis):
    """A client that knows how many replicas must have a job before it is acknowledged."""

    replicas: int = 0


def connect(url: str, timeout_s: float = 5.0, replicas: int = 0) -> StoreClient:
    """Return a client for `redis://`, `rediss://`, `unix://` or Sentinels.

    It connects when first used.

    What is written durably waits for so many `replicas` to have it.

    Raises:
        StoreUnsuitable: the address cannot be read.
    """
    if (sentinels := sentinel_address(url)) is not None:
        behind = StoreClient(connection_pool=sentinels.pool(timeout_s))
        behind.replicas = replicas
        return behind

    try:
        client = cast(
            StoreClient,
            StoreClient.from_url(
                url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                # A connection that was idle this long is tried first: firewalls drop them in
                # silence.
                health_check_interval=30,
            ),
        )
    except ValueError as error:
        raise StoreUnsuitable(
            "The store's address must start with redis://, rediss://, unix://, or"
            " redis+sentinel:// for Sentinels."
        ) from error

    # On the client, so that it travels with the connection to whatever writes durably.
    client.replicas = replicas
    return client


def require_suitable(redis: Redis) -> None:
    """Refuse a store that would drop what it was given, or could not do what is asked of it.

    Raises:
        StoreUnsuitable: its eviction policy reaches keys without a TTL, it is older than 6.2, or it
            is a cluster.
        StoreUnavailable: it does not answer.
    """
    with reaching():
        memory = redis.info("memory")
        server = redis.info("server")
        cluster = redis.info("cluster")

    # A script changes a job, its queue and its tenant in one step. A cluster spreads these over
    # servers and refuses the script (CROSSSLOT), but not before it is called.
    if cluster.get("cluster_enabled") or server.get("redis_mode") == "cluster":
        raise StoreUnsuitable(
            "The store runs in cluster mode, where one step cannot change several keys; use a"
            " server, or a primary with replicas, with cluster mode disabled."
        )

    policy = str(memory.get("maxmemory_policy", "noeviction"))
    # Policies that touch only keys with a TTL are fine: ours end by themselves in any case.
    if policy.startswith("allkeys"):
        raise StoreUnsuitable(
            f"The store evicts any key ({policy}); set maxmemory-policy to noeviction."
        )

    # ZADD's and SET's options of 6.2 are used by the scripts.
    if _version(server) < (6, 2):
        raise StoreUnsuitable("The store is too old; Redis 6.2 or any Valkey is needed.")


@dataclass(frozen=True)
class StoreHealth:
    """What a store says of itself; sizes in bytes, 0 for no bound."""

    used_bytes: int
    max_bytes: int
    replicas: int
    log_enabled: bool
    log_ok: bool  # its append-only file could be written and rewritten the last time


def health_of(redis: Redis) -> StoreHealth:
    """Return what the store says of itself; raises StoreUnavailable."""
    with reaching():
        memory = redis.info("memory")
        replication = redis.info("replication")
        persistence = redis.info("persistence")

    ok = (persistence.get(f"aof_last_{what}_status", "ok") for what in ("write", "bgrewrite"))
    return StoreHealth(
        used_bytes=int(memory["used_memory"]),
        max_bytes=int(memory.get("maxmemory", 0)),
        replicas=int(replication.get("connected_slaves", 0)),
        log_enabled=bool(persistence.get("aof_enabled")),
        log_ok=all(status == "ok" for status in ok),
    )


@contextmanager
def reaching() -> Iterator[None]:
    """Translate the client's exceptions into ours; the one border where that happens."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, ReadOnlyError) as error:
        raise StoreUnavailable from error
    except OutOfMemoryError as error:
        raise StoreFull from error
    except ResponseError as error:
        # A script's refusal is a ResponseError; a plain command's has a class of its own.
        if "OOM" in str(error):
            raise StoreFull from error
        if any(word in str(error) for word in NOT_NOW):  # a pipeline puts its own words before
            raise StoreUnavailable from error

        raise


def texts(reply: Reply) -> list[str]:
    """Return a reply's members as text; the client's types leave open whether they are bytes."""
    return [member.decode() if isinstance(member, bytes) else str(member) for member in reply]


def text_fields(reply: Reply) -> dict[str, str]:
    """Return a hash's fields as text."""
    return dict(zip(texts(reply.keys()), texts(reply.values()), strict=True))


def as_hash(fields: Mapping[str, str | int]) -> Reply:
    """Fields in the type the client wants, which is wider than any that fields have."""
    return dict(fields)


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
        return _version(self._redis.info("server"))

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


def _version(server: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(part) for part in str(server["redis_version"]).split(".")[:2])
