"""Keys of marks and signatures on the command line."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
from redis import Redis

from service.settings import Settings
from service.stack.trust_commands import run_trust_command
from worker.provenance.trust_store import TrustStore
from worker.stores.audit_log import AuditLog


def test_the_mark_key_is_rotated_and_the_trail_says_so(
    store: Redis, store_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=tmp_path, redis_url=store_url)
    run_trust_command(Namespace(action="show"), settings)
    assert "this installation's own; 1 mark keys" in capsys.readouterr().out

    first = TrustStore(settings.trust_dir).mark_keys.newest_first()
    run_trust_command(Namespace(action="rotate-mark-key"), settings)
    assert "2 mark keys" in capsys.readouterr().out
    assert TrustStore(settings.trust_dir).mark_keys.newest_first()[1:] == first

    (entry,) = AuditLog(store).pending()
    assert (entry.body["event"], entry.body["actor"]) == ("mark_key.rotated", "operator")


def test_a_rotation_without_a_store_is_done_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(data_dir=tmp_path, redis_url=f"unix://{tmp_path}/nothing.sock")
    run_trust_command(Namespace(action="rotate-mark-key"), settings)
    said = capsys.readouterr()
    assert "2 mark keys" in said.out
    assert "not in the audit trail" in said.err
