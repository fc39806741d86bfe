"""The repository's Python files, each with its syntax and its kinds of lines, by room.

A *room* is a folder of modules; a *package* is one of the folders at the top.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("service", "worker", "models", "likeness")
PACKAGES = (*PRODUCT, "benchmarks", "tests")

# Comments that speak to a tool; they explain nothing to a reader.
PRAGMA = re.compile(r"#\s*(noqa|type:|mypy:|pragma|ruff:|fmt:|!)")

TRAILING_PRAGMA = re.compile(r"\s+#\s*(noqa|type:|pragma).*$")

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file; its path is relative to the repository."""

    path: Path
    text: str

    @property
    def package(self) -> str:
        return self.path.parts[0]

    @property
    def room(self) -> str:
        return self.path.parent.as_posix()

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def syntax(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def docstring_lines(self) -> set[int]:
        """Numbers of the lines of docstrings, from 1."""
        return {
            number
            for node in ast.walk(self.syntax)
            if isinstance(node, _Documented) and ast.get_docstring(node, clean=False) is not None
            for number in _lines_of(node.body[0])
        }

    @cached_property
    def function_lines(self) -> set[int]:
        """Numbers of the lines of functions, without their docstrings."""
        functions = (
            node
            for node in ast.walk(self.syntax)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        # Nested functions are counted once, being sets of line numbers.
        inside = {number for function in functions for number in _lines_of(function)}
        return inside - self.docstring_lines

    @cached_property
    def blank_lines(self) -> set[int]:
        return {number for number, line in enumerate(self.lines, start=1) if not line.strip()}

    @cached_property
    def comment_lines(self) -> set[int]:
        """Numbers of the lines with a comment for readers, whole lines and ends of lines."""
        return {
            token.start[0]
            for token in tokenize.generate_tokens(io.StringIO(self.text).readline)
            if token.type == tokenize.COMMENT and not PRAGMA.match(token.string)
        }


def sources(packages: Sequence[str] = PACKAGES) -> Iterator[Source]:
    """Yield the Python files of these packages in order of their paths."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield Source(path.relative_to(ROOT), path.read_text())


def by_room(files: Sequence[Source]) -> dict[str, list[Source]]:
    """Group files by their folder."""
    rooms: dict[str, list[Source]] = {}
    for source in files:
        rooms.setdefault(source.room, []).append(source)

    return rooms


def _lines_of(node: ast.stmt | ast.expr) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
