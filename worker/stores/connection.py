"""The connection to the store, and what the store must be able to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.errors import StoreFull, StoreUnavailable, StoreUnsuitable
from worker.stores.addresses import sentinel_address

Reply: TypeAlias = Any  # what a script returns: bytes, integers and lists of them
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
    if version_of(server) < (6, 2):
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


def as_hash(fields: Mapping[str, str | int | bytes]) -> Reply:
    """Fields in the type the client wants, which is wider than any that fields have."""
    return dict(fields)


def version_of(server: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the major and minor version in what the server says of itself."""
    return tuple(int(part) for part in str(server["redis_version"]).split(".")[:2])
