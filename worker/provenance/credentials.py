"""Reads C2PA credentials of untrusted files; to be called in a confined process only."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import c2pa

from worker.provenance.names import c2pa_type

State = Literal["trusted", "valid", "invalid", "absent"]

# An answer names the first ones; a hostile manifest may have thousands.
_MAX_PROBLEMS = 16


@dataclass(frozen=True)
class Credentials:
    """What a file's active manifest says; `swap` is our own assertion where it has one."""

    state: State
    signer: str = ""
    issued_on: str = ""
    actions: tuple[str, ...] = ()
    ingredients: int = 0
    problems: tuple[str, ...] = ()
    swap: dict[str, Any] | None = None
    generator: str = ""
    certificate: str = ""


def read_credentials(
    file: BinaryIO, media_type: str, anchors: Sequence[str], manifest: bytes | None = None
) -> Credentials:
    """Return the credentials of a file; `anchors` are PEM roots besides C2PA's own list.

    A manifest that a file only links to is never fetched. Damage of any kind is `invalid`.
    """
    settings = {
        # Nothing is fetched for a file of unknown origin: its address could be anybody's.
        "verify": {"verify_trust": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
        "trust": {"user_anchors": "\n".join(anchors)} if anchors else {},
    }
    context = c2pa.Context(settings=c2pa.Settings.from_dict(settings))

    try:
        reader = c2pa.Reader(c2pa_type(media_type), file, manifest_data=manifest, context=context)
    except c2pa.C2paError as error:
        return _unreadable(error)

    with reader:
        return _summary(json.loads(reader.json()))


def _unreadable(error: c2pa.C2paError) -> Credentials:
    text = str(error)
    # The library has no error of its own for "none there".
    if text.startswith(("ManifestNotFound", "NotSupported")) or "no JUMBF" in text:
        return Credentials(state="absent")
    # Its kind alone, for details may quote the file.
    return Credentials(state="invalid", problems=(text.split(":")[0][:80],))


def _summary(store: dict[str, Any]) -> Credentials:
    active = store.get("manifests", {}).get(store.get("active_manifest", ""), {})
    signature = active.get("signature_info", {})
    assertions = {
        entry.get("label", ""): entry.get("data", {}) for entry in active.get("assertions", ())
    }
    actions = assertions.get("c2pa.actions.v2", assertions.get("c2pa.actions", {})).get(
        "actions", ()
    )
    generators = active.get("claim_generator_info") or [{}]
    state = str(store.get("validation_state", "Invalid")).lower()

    return Credentials(
        state=state if state in ("trusted", "valid") else "invalid",  # type: ignore[arg-type]
        # Every text of a foreign manifest is cut: it goes into an answer.
        signer=str(signature.get("issuer", ""))[:200],
        issued_on=str(signature.get("time", ""))[:40],
        actions=tuple(str(action.get("action", ""))[:80] for action in actions)[:_MAX_PROBLEMS],
        ingredients=len(active.get("ingredients", ())),
        problems=_problems(store),
        swap=assertions.get("org.likeness.swap"),
        generator=str(generators[0].get("name", ""))[:80],
        certificate=str(signature.get("cert_serial_number", "")),
    )


def _problems(store: dict[str, Any]) -> tuple[str, ...]:
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", ())
    return tuple(str(failure.get("code", ""))[:80] for failure in failures)[:_MAX_PROBLEMS]


def from_bytes(data: bytes, media_type: str, anchors: Sequence[str]) -> Credentials:
    """Return the credentials of a file in memory."""
    return read_credentials(io.BytesIO(data), media_type, anchors)
