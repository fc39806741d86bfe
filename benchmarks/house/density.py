"""H-2: code that breathes: paragraphs inside functions, comments that say why, short lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from benchmarks.bar import Figure, bar
from benchmarks.house.tree import PACKAGES, PRODUCT, TRAILING_PRAGMA, Source, by_room, sources

# Of a function's lines, its docstring apart. httpx has 7.7 %, cog 8.9 %, dramatiq 10.2 %.
BLANK_PERCENT = (6.0, 10.0)
# Lines with a comment among a hundred that are no docstring; httpx has 5.1. Pragmas do not count.
# Tests are not held to this: their names are sentences that say what a comment would.
COMMENTS_PER_100 = (5.0, 8.0)
LONGEST_LINE = 100

# They take any number of like parts, so that unpacking one list into them hides no field.
VARIADIC = {"Sequential"}


@bar("H-2")
def code_breathes() -> Figure:
    """Packages whose paragraphs or comments are out of range; long lines; `*` in constructors."""
    files = list(sources())
    long = [place for source in files for place in long_lines(source)]
    unpacked = [place for source in files for place in unpacking_constructors(source)]

    print(f"{'room':40} blank %  comments")
    for room, members in sorted(by_room(files).items()):
        print(f"{room:40} {blank_percent(members):7.1f} {comments_per_100(members):9.1f}")

    outside = []
    for package in PACKAGES:
        members = [source for source in files if source.package == package]
        blank = blank_percent(members)
        comments = comments_per_100(members)
        print(f"{package + ', all':40} {blank:7.1f} {comments:9.1f}")

        if not BLANK_PERCENT[0] <= blank <= BLANK_PERCENT[1]:
            outside.append(f"{package}: {blank:.1f} % of the lines inside functions are blank")

        held = package in (*PRODUCT, "benchmarks")
        if held and not COMMENTS_PER_100[0] <= comments <= COMMENTS_PER_100[1]:
            outside.append(f"{package}: {comments:.1f} comments per 100 lines")

    for line in [*outside, *long, *unpacked]:
        print(line)

    return Figure(
        f"{len(outside)} out of range, {len(long)} long lines, {len(unpacked)} unpacked",
        "",
        "0, 0, 0",
        not outside and not long and not unpacked,
    )


def blank_percent(files: Sequence[Source]) -> float:
    """Return the share of blank lines inside these files' functions, in percent."""
    inside = sum(len(source.function_lines) for source in files)
    blank = sum(len(source.function_lines & source.blank_lines) for source in files)
    return 100 * blank / max(inside, 1)


def comments_per_100(files: Sequence[Source]) -> float:
    """Return how many of a hundred lines, docstrings left out, have a comment for readers."""
    lines = sum(len(source.lines) - len(source.docstring_lines) for source in files)
    return 100 * sum(len(source.comment_lines) for source in files) / max(lines, 1)


def long_lines(source: Source) -> Iterator[str]:
    """Yield the places of lines over 100 characters, before what is said to a tool at their end.

    A pragma counts for its own line only, so that it cannot be wrapped; ruff measures alike.
    """
    for number, line in enumerate(source.lines, start=1):
        length = len(TRAILING_PRAGMA.sub("", line))
        if length > LONGEST_LINE:
            yield f"{source.path}:{number}: {length} characters"


def unpacking_constructors(source: Source) -> Iterator[str]:
    """Yield the places where a constructor is given the fields of a tuple by position."""
    for node in ast.walk(source.syntax):
        if not isinstance(node, ast.Call):
            continue

        name = _called_name(node.func)
        # By the convention of names alone: constants are upper case all through, classes are not.
        constructs = name == "cls" or (name[:1].isupper() and not name.isupper())
        unpacks = any(isinstance(argument, ast.Starred) for argument in node.args)

        if constructs and unpacks and name not in VARIADIC:
            yield f"{source.path}:{node.lineno}: {name}(*...)"


def _called_name(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id

    return function.attr if isinstance(function, ast.Attribute) else ""
