from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from service.stack.api_keys import add_key_commands, create_first_key, run_key_command
from tests.material import ROOT
from worker.errors import KeyRefused, UnknownKey
from worker.stores.audit_log import AuditLog
from worker.stores.key_store import SCOPES, KeyStore

Keys = Callable[..., str]


@pytest.fixture
def keys(store_url: str, capsys: pytest.CaptureFixture[str]) -> Keys:
    """Run a key command and return what it prints."""
    parser = ArgumentParser()
    add_key_commands(parser)

    def run(*arguments: str) -> str:
        run_key_command(parser.parse_args(arguments), store_url)
        return capsys.readouterr().out.strip()

    return run


def test_created_key_has_the_scopes_and_tenant_asked_for(store: Redis, keys: Keys) -> None:
    key = KeyStore(store).verify(
        keys("create", "--tenant", "acme", "--scopes", "jobs:read,jobs:write")
    )
    assert key.tenant == "acme"
    assert key.scopes == {"jobs:read", "jobs:write"}


def test_list_shows_no_secret(keys: Keys) -> None:
    _, key_id, secret = keys("create", "--name", "phone").split("_")
    listed = keys("list")
    assert key_id in listed
    assert "phone" in listed
    assert secret not in listed


def test_revoked_key_is_refused_at_once(store: Redis, keys: Keys) -> None:
    token = keys("create")
    keys("revoke", token.split("_")[1])
    with pytest.raises(KeyRefused):
        KeyStore(store).verify(token)
    assert " ended " in keys("list")


def test_rotated_key_overlaps_the_old_one(store: Redis, keys: Keys) -> None:
    old = keys("create", "--tenant", "acme")
    new = keys("rotate", old.split("_")[1])
    assert KeyStore(store).verify(new).tenant == KeyStore(store).verify(old).tenant == "acme"
    assert KeyStore(store).get(old.split("_")[1]).revoked_at is not None


def test_key_changes_are_in_the_audit_log(store: Redis, keys: Keys) -> None:
    key_id = keys("create").split("_")[1]
    keys("revoke", key_id)
    events = [(entry.body["event"], entry.body["subject"]) for entry in AuditLog(store).pending()]
    assert events == [("key.created", key_id), ("key.revoked", key_id)]


def test_unknown_key_is_said_so(keys: Keys) -> None:
    with pytest.raises(UnknownKey):
        keys("revoke", "0" * 16)


@pytest.mark.parametrize("arguments", [("--scopes", "everything"), ("--tenant", "../etc")])
def test_wrong_arguments_are_refused(keys: Keys, arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        keys("create", *arguments)


def test_first_key_is_made_once_and_may_do_everything(store: Redis, store_url: str) -> None:
    token = create_first_key(store_url)
    assert KeyStore(store).verify(token).scopes == set(SCOPES)
    assert create_first_key(store_url) is None


def test_command_line_explains_a_store_that_is_away_without_a_trace(tmp_path: Path) -> None:
    environment = {**os.environ, "LIKENESS_REDIS_URL": f"unix://{tmp_path}/nothing.sock"}
    command = [sys.executable, "-m", "service", "keys", "list"]
    outcome = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("error: The job store does not answer")
