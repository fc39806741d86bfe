"""The Lua scripts that run in the store: each is one step, seen whole or not at all."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from redis import Redis
from redis.commands.core import Script
from redis.connection import ConnectionInterface
from redis.exceptions import NoScriptError, ResponseError

from worker.errors import StoreUnavailable
from worker.stores.connection import Reply, reaching, version_of
from worker.stores.keys import lua_names

log = logging.getLogger(__name__)

# Beside this module, so that a wheel carries them along.
LUA = Path(__file__).parent / "lua"
# A busy disk syncs within a second; longer, and a client should rather try again.
DURABILITY_TIMEOUT_MS = 2000
# The server must not read WAITAOF together with the script whose writes it is to wait for: it would
# then answer with its next cron tick (100 ms). A store of this machine has answered by then.
APART_S = 0.002

Call: TypeAlias = tuple[str, Mapping[str, Any]]  # a script's name and its arguments
Command: TypeAlias = tuple[str | int, ...]


class Scripts:
    """The scripts of `worker/stores/lua`, each called with one JSON object of named arguments."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        # By name, since registering reads the file; the server keeps the script by its hash.
        self._loaded: dict[str, Script] = {}

    def run(self, name: str, arguments: Mapping[str, Any], blob: bytes | None = None) -> Reply:
        """Run a script and return its answer.

        `blob` reaches it as a second argument, because JSON carries no bytes.

        Raises:
            StoreUnavailable, StoreFull
        """
        given = _as_json(arguments)
        parts: list[str | bytes] = [given] if blob is None else [given, blob]
        with reaching():
            return self._script(name)(args=parts)

    def run_durably(
        self, name: str, arguments: Mapping[str, Any], then: Sequence[Call] = ()
    ) -> Reply:
        """Run a script and return its answer once what it wrote is durable.

        That is: on the store's disk, where the store can say so, and in the memory of as many
        replicas as the client asks for. The scripts of `then` run right behind it, whatever it
        answers; one that fails is only logged. All of it is one round trip.

        Raises:
            StoreFull
            StoreUnavailable: also when the disk or the replicas took too long; what the script
            wrote may still hold.
        """
        with reaching():
            answers = self._exchange([(name, arguments), *then])

        for (script, _), answer in zip(then, answers[1:], strict=False):
            if isinstance(answer, ResponseError):
                log.error("script failed", extra={"script": script, "error": str(answer)[:200]})

        return answers[0]

    def _exchange(self, calls: Sequence[Call]) -> list[Reply]:
        """Send scripts and the questions whether they are durable; return the scripts' answers."""
        pool = self._redis.connection_pool
        scripts = [self._script(name) for name, _ in calls]
        commands = [
            ("EVALSHA", script.sha, 0, _as_json(arguments))
            for script, (_, arguments) in zip(scripts, calls, strict=True)
        ]
        # One connection: WAIT and WAITAOF speak of what their own has written.
        wire = pool.get_connection()

        def ask() -> list[Reply]:
            return _ask(wire, commands, self._questions)

        try:
            answers = wire.retry.call_with_retry(ask, wire.disconnect)
            # A server that was started again has forgotten the scripts.
            if any(isinstance(answer, NoScriptError) for answer in answers):
                for script in scripts:
                    self._redis.script_load(script.script)
                answers = wire.retry.call_with_retry(ask, wire.disconnect)
        finally:
            pool.release(wire)

        made = answers[: len(calls)]
        # The script's own error says more than what came of waiting for it.
        if isinstance(made[0], ResponseError):
            raise made[0]

        self._require_durable(answers[len(calls) :])
        return made

    @cached_property
    def _questions(self) -> Sequence[Command]:
        disk = ("WAITAOF", 1, 0, DURABILITY_TIMEOUT_MS)
        # Replicas follow by themselves, but a primary that dies loses what it has sent nobody:
        # without this, a failover loses jobs that were acknowledged.
        replicas = ("WAIT", self._replicas, DURABILITY_TIMEOUT_MS)
        return [
            *([disk] if self._waits_for_disk else []),
            *([replicas] if self._replicas else []),
        ]

    def _require_durable(self, answers: Sequence[Reply]) -> None:
        """Raise StoreUnavailable where the disk or the replicas do not have what was written."""
        for question, answer in zip(self._questions, answers, strict=True):
            if isinstance(answer, ResponseError):
                raise answer
            if question[0] == "WAITAOF" and not answer[0]:
                raise StoreUnavailable("The job store's disk does not keep up; try again shortly.")
            if question[0] == "WAIT" and answer < self._replicas:
                raise StoreUnavailable(
                    f"Only {answer} of {self._replicas} replicas of the job store have what was"
                    " written; try again shortly."
                )

    @property
    def _replicas(self) -> int:
        return int(getattr(self._redis, "replicas", 0))

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


def _ask(
    wire: ConnectionInterface, commands: Sequence[Command], later: Sequence[Command]
) -> list[Reply]:
    """Send commands, and a moment later others; return all answers, an error as an answer too."""
    _send(wire, commands)
    if later:
        wire.can_read(timeout=APART_S)
        # A check of the connection's health would read the answers.
        _send(wire, later, check_health=False)

    return [_answer(wire) for _ in (*commands, *later)]


def _send(
    wire: ConnectionInterface, commands: Sequence[Command], check_health: bool = True
) -> None:
    packed = wire.pack_commands(commands)  # type: ignore[no-untyped-call]
    wire.send_packed_command(packed, check_health=check_health)  # type: ignore[no-untyped-call]


def _answer(wire: ConnectionInterface) -> Reply:
    try:
        return wire.read_response()
    except ResponseError as error:  # the others' answers are still on their way
        return error


def _as_json(arguments: Mapping[str, Any]) -> str:
    # Lua reads a JSON null as a true value, so what is not there is left out.
    return json.dumps({key: value for key, value in arguments.items() if value is not None})


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
