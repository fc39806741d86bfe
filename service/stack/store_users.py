"""The users of the store, with no more rights than their work takes, and their passwords."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Literal, get_args

from worker.stores.addresses import OPERATOR_FILE
from worker.stores.keys import ALL_KEYS, FAMILIES

Role = Literal["api", "worker", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

# Everything that reads and writes data. Not: configuration, users, other clients, copies of the
# database, emptying it or listing its keys, all of which the server calls dangerous or admin.
_COMMANDS = (
    "-@all +@read +@write +@connection +@transaction +@scripting +@blocking +@pubsub"
    " -@dangerous -@admin -function +info"
)
# Rules name what is allowed, so the workers' has every family but those that are secret to the API.
_WORKERS_KEYS = " ".join(
    f"~{pattern}" for pattern in sorted({f.acl for f in FAMILIES.values() if not f.secret})
)

RULES: Mapping[Role, str] = {
    "api": f"~{ALL_KEYS} ~rq:* &rq:* {_COMMANDS}",
    "worker": f"{_WORKERS_KEYS} ~rq:* &rq:* {_COMMANDS} +bgrewriteaof",
    "operator": f"~{ALL_KEYS} ~rq:* &rq:* {_COMMANDS} +bgrewriteaof",
}


class StoreUsers:
    """The users of one run of the embedded store; their passwords are new each time."""

    def __init__(self, data_dir: Path) -> None:
        self._passwords: dict[Role, str] = {role: secrets.token_hex(32) for role in ROLES}
        self._directory = data_dir / "run"
        self._files: list[IO[bytes]] = []
        _write_private(data_dir / OPERATOR_FILE, self._credentials("operator"))

    def acl(self) -> str:
        """Return the server's `user` directives; passwords are in them as SHA-256 only."""
        return acl(
            {
                role: f"#{hashlib.sha256(password.encode()).hexdigest()}"
                for role, password in self._passwords.items()
            }
        )

    def descriptor(self, role: Role) -> int:
        """Return an open file with the role's `user:password`, for a program to inherit.

        The file has no name, and lives as long as this object or a program that has it open.
        """
        file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - see the docstring
        file.write(self._credentials(role))
        file.flush()
        self._files.append(file)

        return file.fileno()

    def _credentials(self, role: Role) -> bytes:
        return f"{role}:{self._passwords[role]}".encode()


def acl(passwords: Mapping[Role, str]) -> str:
    """Return `user` directives for a server's configuration; passwords as its ACL writes them."""
    users = (f"user {role} on {passwords[role]} {RULES[role]}" for role in ROLES)
    return "\n".join(["user default off", *users]) + "\n"


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
