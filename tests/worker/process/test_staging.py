"""Where a job's files lie while a confined child works on them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from worker.errors import UnknownMedia
from worker.process.staging import DIRECTORY, Staging


def test_files_come_in_by_link_and_are_gone_after_the_job(tmp_path: Path) -> None:
    staging = Staging(tmp_path)
    upload = tmp_path / "upl.png"
    upload.write_bytes(b"input")
    place = staging.bring_in("upl.png", lambda place: os.link(upload, place))
    assert place.samefile(upload)
    assert staging.bring_in("upl.png", lambda _: pytest.fail("it is there")) == place
    (staging.outward / "made").write_bytes(b"output")
    (staging.outward / "folder").mkdir()
    assert staging.take_out("made").read_bytes() == b"output"
    staging.clear()
    assert [*staging.inward.iterdir(), *staging.outward.iterdir()] == []
    assert upload.read_bytes() == b"input"
    staging.close()
    assert list((tmp_path / DIRECTORY).iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "../upl.png", "folder", "missing", "/etc/passwd"])
def test_only_plain_files_of_the_child_are_taken_out(tmp_path: Path, name: str) -> None:
    staging = Staging(tmp_path)
    (tmp_path / "upl.png").write_bytes(b"input")
    (staging.outward / "folder").mkdir()
    with pytest.raises(UnknownMedia):
        staging.take_out(name)


def test_what_a_dead_worker_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from worker.process.staging import Staging; "
    script += "Staging(Path(sys.argv[1])).outward.joinpath('left').write_text('x'); "
    script += "import os; os._exit(9)"
    living = Staging(tmp_path)
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=30)
    assert len(list((tmp_path / DIRECTORY).iterdir())) == 2
    another = Staging(tmp_path)
    roots = {living.inward.parent, another.inward.parent}
    assert set((tmp_path / DIRECTORY).iterdir()) == {root.absolute() for root in roots}
