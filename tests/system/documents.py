"""Code out of documents, run as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path

LONGEST_S = 280.0


def blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code in this language, in order; those in tabs are indented."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(code) for _, code in found]


def ran(command: list[str], script: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Return what a script printed that was run in a folder; it must end well."""
    done = subprocess.run(
        command,
        input=script,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
