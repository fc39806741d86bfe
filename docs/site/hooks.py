"""Hooks of the documents' site: pages made from the code, and links that lead out of `docs/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from service.app import create_app
from service.protocol.catalogue import CODES, WHAT_TO_DO
from service.settings import Settings

_METHODS = ("get", "post", "put", "patch", "delete")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - mkdocs'
    """Return the page with what is made of the code, and without links out of the site."""
    if make := _MADE.get(page.file.src_uri):
        markdown = f"{markdown}\n{make()}"
    # The repository's files are no part of the site: what is said about them stays.
    out = r"(?:\.\./){2,}" if "/" in page.file.src_uri else r"\.\./"
    return re.sub(rf"\[([^\]]+)\]\({out}[^)]*\)", r"\1", markdown)


def _reference() -> str:
    document = create_app(Settings()).openapi()
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if operation := operations.get(method):
                by_tag.setdefault(operation["tags"][0], []).append((method, path, operation))

    described = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    parts: list[str] = []
    for tag, operations in by_tag.items():
        parts += [f"## {tag.capitalize()}\n", f"{described.get(tag, '')}\n"]
        for method, path, operation in operations:
            parts += [f"### `{method.upper()} {path}`\n", *_operation(operation)]

    return "\n".join(parts)


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    yield f"{operation.get('description') or operation['summary']}\n"
    parameters = operation.get("parameters", ())
    if parameters:
        yield "| parameter | in | |\n| --- | --- | --- |"
        for one in parameters:
            yield f"| `{one['name']}` | {one['in']} | {_line(one.get('description', ''))} |"
        yield ""

    yield "| status | |\n| --- | --- |"
    for status, response in sorted(operation["responses"].items()):
        yield f"| {status} | {_line(response['description'])} |"
    yield ""


def _failures() -> str:
    rows = [
        f"| `{code}` | {status} | {title} | {_line(WHAT_TO_DO.get(code, ''))} |"
        for code, (status, title) in CODES.items()
    ]
    return "\n".join(["| code | status | | what to do |", "| --- | --- | --- | --- |", *rows, ""])


def _line(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


_MADE = {"reference.md": _reference, "failures.md": _failures}
