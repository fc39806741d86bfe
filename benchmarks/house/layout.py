"""H-1: folders that can be overseen, files of a readable length, imports that go one way."""

from __future__ import annotations

import graphlib
import re
import subprocess
import sys
from pathlib import Path

import grimp

from benchmarks.bar import Figure, bar
from benchmarks.house.exceptions import LONG, SHORT
from benchmarks.house.tree import PACKAGES, ROOT, Source, by_room, sources

# A reader takes in a folder at one look up to about here; fifteen names and an entry point.
MOST_MODULES = 16
# Shorter, and a task is spread over files; longer, and a file has more than one task.
FEWEST_LINES = 60
MOST_LINES = 250


@bar("H-1")
def rooms_can_be_overseen() -> Figure:
    """The largest folder; files of odd length without a reason; imports upward or in a circle."""
    files = [source for source in sources() if source.path.name != "__init__.py"]
    rooms = by_room(files)

    print(f"{'room':40} modules  lines  longest")
    for room, members in sorted(rooms.items()):
        lengths = [len(member.lines) for member in members]
        print(f"{room:40} {len(members):7} {sum(lengths):6} {max(lengths):8}")

    largest = max(len(members) for members in rooms.values())
    odd = odd_lengths(files)
    upward = broken_contracts()
    circle = import_circle()

    for line in [*odd, *upward, *circle]:
        print(line)

    return Figure(
        f"{largest} modules, {len(odd)} files, {len(upward)} upward, {len(circle)} in a circle",
        "",
        f"<= {MOST_MODULES}, 0, 0, 0",
        largest <= MOST_MODULES and not odd and not upward and not circle,
    )


def odd_lengths(files: list[Source]) -> list[str]:
    """Name the files outside of 60 to 250 lines that no reason excepts, and reasons out of date."""
    lengths = {source.path.as_posix(): len(source.lines) for source in files}
    short = {
        source.path.as_posix()
        for source in files
        if source.package != "tests" and len(source.lines) < FEWEST_LINES
    }
    long = {path for path, lines in lengths.items() if lines > MOST_LINES}

    excepted_short = {path for paths in SHORT.values() for path in paths}
    excepted_long = {path for paths in LONG.values() for path in paths}

    odd = [f"{path}: {lengths[path]} lines" for path in sorted(short - excepted_short)]
    odd += [f"{path}: {lengths[path]} lines" for path in sorted(long - excepted_long)]
    # An exception that outlives its reason would cover the next file of that name.
    stale = (excepted_short - short) | (excepted_long - long)
    return odd + [f"{path}: excepted, and needs no exception" for path in sorted(stale)]


def broken_contracts() -> list[str]:
    """Name the import-linter contracts of pyproject.toml that are broken."""
    outcome = subprocess.run(
        # Without its cache, which goes by the times of files and not by their content.
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'clients' / 'python'}", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    verdicts = re.findall(r"^(.+?) (KEPT|BROKEN)\b", outcome.stdout, re.MULTILINE)

    if not verdicts:
        raise RuntimeError(f"import-linter gave no verdict: {outcome.stdout}{outcome.stderr}")

    return [f"contract broken: {name}" for name, verdict in verdicts if verdict == "BROKEN"]


def import_circle() -> list[str]:
    """Return one circle of imports between modules, as its names in order; empty without one."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    # import-linter knows layers only; a circle inside one room needs a search of its own.
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}

    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return [" <- ".join(error.args[1])]

    return []
