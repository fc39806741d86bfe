"""Multipart forms of fields and media files, for registrations and swaps alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from fastapi import Request

from service.intake.incoming import Declared, Incoming
from service.protocol.bodies import BodyReader
from service.protocol.problems import ServiceError

_MAX_FIELD_BYTES = 64 * 1024  # 16 assignments and 16 KiB of metadata fit
_MAX_FIELDS_BYTES = 4 * _MAX_FIELD_BYTES


@dataclass(frozen=True)
class FormRules:
    """Files that a form may hold: `min_files` to `max_files` under one of `names`."""

    names: Collection[str]
    max_files: int
    max_file_bytes: int
    min_files: int = 1

    def expected(self) -> str:
        """Return what a client is to send, as a sentence."""
        name = next(iter(self.names))
        if self.max_files == 1:
            return f"Send one file, as {name}"
        return f"Send one to {self.max_files} files, each as {name}"


async def read_form(
    request: Request, bodies: BodyReader, *places: tuple[FormRules, Incoming]
) -> dict[str, str]:
    """Receive a form's files, each into the place whose rules name it, and return its fields.

    Raises bad_request, body_too_large, invalid_request, and what receiving a file raises.
    """
    fields: dict[str, str] = {}
    max_bytes = sum(rules.max_files * rules.max_file_bytes for rules, _ in places)
    expected = ". ".join(rules.expected() for rules, _ in places if rules.min_files)

    async for part in bodies.form(request, max_bytes + _MAX_FIELDS_BYTES).parts():
        if part.filename is None:
            # Of a field that is sent twice, the last one counts, as in most frameworks.
            fields[part.name] = await part.text(_MAX_FIELD_BYTES)
            continue

        free = [
            (rules, incoming)
            for rules, incoming in places
            if part.name in rules.names and len(incoming.files) < rules.max_files
        ]
        if not free:
            raise ServiceError("invalid_request", expected)

        rules, incoming = free[0]
        declared = Declared(part.content_type)
        await incoming.receive(part.chunks(), declared, rules.max_file_bytes)

    for rules, incoming in places:
        if len(incoming.files) < rules.min_files:
            raise ServiceError("invalid_request", f"The form has no file. {rules.expected()}")

    return fields
