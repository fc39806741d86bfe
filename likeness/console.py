"""What the commands say: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table


def print_json(value: Mapping[str, Any]) -> None:
    """Print a result for programs, on standard output."""
    print(json.dumps(value, indent=2, default=str))


def print_table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows for people; without a terminal, as tab-separated lines without titles."""
    # For cut and awk: a row of titles would be one more record.
    if not sys.stdout.isatty():
        print("\n".join("\t".join(row) for row in rows))
        return

    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in titles:
        table.add_column(title)
    for row in rows:
        table.add_row(*row)

    Console().print(table)


@contextmanager
def diverted_log(file: Path) -> Iterator[Console]:
    """Send what this process and its children log to `file`; yield a console on the terminal.

    Children write to descriptor 2, so it is the descriptor that is diverted.
    """
    # A log names files and people: nobody else on the machine may read it.
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sys.stderr.flush()
    terminal = os.dup(2)
    # Truncated: the last command is what is looked into, and the file cannot grow.
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    try:
        os.dup2(log, 2)
        # A duplicate, because closing the stream must leave `terminal` open for the way back.
        with os.fdopen(os.dup(terminal), "w") as stream:
            yield Console(file=stream)
    finally:
        # What Python still buffers belongs into the log, so before the descriptor changes again.
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        os.close(log)


@contextmanager
def progress_bar(console: Console, *, quiet: bool = False) -> Iterator[Progress]:
    """Yield a progress bar with the time that is left; it shows on a terminal only."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        # In a file or a pipe the control characters of a bar are only noise.
        disable=quiet or not console.is_terminal,
        # Gone when done, so that the outcome is the last line on the screen.
        transient=True,
    )
    with bar:
        yield bar
