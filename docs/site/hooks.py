"""Hooks of the documents' site: pages made from the code, and links that lead out of `docs/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from service.app import create_app
from service.protocol.catalogue import WHAT_TO_DO
from service.protocol.problems import CODES
from service.settings import Settings

_METHODS = ("get", "post", "put", "patch", "delete")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference and the catalogue of failures, as they are in the code."""
    for name, make in (("reference", _reference), ("failures", _failures)):
        files.append(File.generated(config, f"{name}.md", content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:  # noqa: ANN401 - mkdocs'
    """Return the page without links that lead out of the site."""
    if page.file.src_uri.count("/"):
        return re.sub(r"\[([^\]]+)\]\((?:\.\./){2,}[^)]*\)", r"\1", markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def _reference() -> str:
    document = create_app(Settings()).openapi()
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if operation := operations.get(method):
                by_tag.setdefault(operation["tags"][0], []).append((method, path, operation))

    described = {tag["name"]: tag.get("description", "") for tag in document.get("tags", ())}
    parts = [
        "# Reference\n",
        "Made from the document that a running service gives at `/openapi.json`; `/docs` shows it"
        " with a form for each call.\n",
    ]
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
    return "\n".join(
        [
            "# Failures\n",
            "Every failure is a problem by RFC 9457 (`application/problem+json`) with a stable"
            " `code`, a sentence in `detail`, and the `request_id` that the operator's log has."
            " `429` and `503` say in `Retry-After` when to try again.\n",
            "| code | status | | what to do |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def _line(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
