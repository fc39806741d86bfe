"""C2PA manifests: what a result says about how it was made, signed last of all (docs/trust.md)."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import c2pa

from worker.errors import SigningFailed
from worker.provenance.names import DETACHED, c2pa_type, mark_name
from worker.provenance.time_stamps.token_in_manifest import (
    replace_manifest,
    stamped_message,
    with_token,
)

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

# A whole-file hash is what independent readers understand, but it is held in memory; above this
# size chunks are hashed instead (Merkle), which c2pa-rs trusts and other readers call invalid.
WHOLE_FILE_BYTES = 512 << 20
# Beyond this the library works in a file: the child's memory is for models.
_SPILL_TO_DISK_MIB = 16
_CHUNK_KIB = 4096

_PIXEL_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)

Stamp = Callable[[bytes], bytes | None]

# All four uses that the training-and-mining assertion knows.
_NOT_ALLOWED = (
    "cawg.ai_generative_training",
    "cawg.ai_inference",
    "cawg.ai_training",
    "cawg.data_mining",
)


@dataclass(frozen=True)
class Claim:
    """What a manifest says. No person, file name or thumbnail is in it.

    `faces` are rectangles x, y, width, height in pixels of an image.
    """

    job: str
    pack: str
    version: str
    consent_receipts: Sequence[str] = ()
    mark_id: int | None = None
    verify_url: str = ""
    faces: Sequence[tuple[int, int, int, int]] = ()
    allow_training: bool = False


@dataclass(frozen=True)
class SignedFile:
    """How a manifest was bound: in the file, or beside it; `is_stamped` by an authority."""

    manifest: bytes
    embedded: bool
    binding: str = field(default="file")
    is_stamped: bool = False


def sign(  # noqa: PLR0913 - a file, what is said of it, and who signs: nothing to group
    source: Path,
    destination: Path,
    media_type: str,
    claim: Claim,
    *,
    chain: str,
    sign_claim: Callable[[bytes], bytes],
    original: tuple[Path, str],
    stamp: Stamp | None = None,
) -> SignedFile:
    """Write `source` to `destination` with a signed manifest.

    A format that cannot hold one gets a detached manifest: `source` is the signed file as it is,
    and nothing is written.

    `original` is the upload and its media type: it becomes the parent ingredient, with whatever
    credentials it brought. `sign_claim` returns an ES256 signature of about 2 KB of bytes, `stamp`
    an RFC 3161 token of some bytes, or None.

    Raises SigningFailed.
    """
    media_type = c2pa_type(media_type)
    size = source.stat().st_size
    context = c2pa.Context(settings=c2pa.Settings.from_dict(signing_settings(size)))

    try:
        with c2pa.Builder(_definition(claim, media_type), context=context) as builder:
            _add_original(builder, original)
            signer = c2pa.Signer.from_callback(sign_claim, c2pa.C2paSigningAlg.ES256, chain, None)

            if media_type in DETACHED:
                return _stamped(_detached(builder, signer, source), stamp)
            with source.open("rb") as unsigned, destination.open("w+b") as signed:
                manifest = builder.sign(signer, media_type, unsigned, signed)
    except c2pa.C2paError as error:
        raise SigningFailed(str(error)) from error

    binding = "file" if size <= WHOLE_FILE_BYTES else "chunks"
    signed_file = SignedFile(manifest=bytes(manifest), embedded=True, binding=binding)
    return _stamped(signed_file, stamp, destination, media_type)


def _stamped(
    signed: SignedFile, stamp: Stamp | None, path: Path | None = None, media_type: str = ""
) -> SignedFile:
    """Put a time-stamp into a manifest, and into the file at `path` that holds it."""
    message = stamped_message(signed.manifest) if stamp is not None else None
    token = stamp(message) if stamp is not None and message is not None else None
    manifest = with_token(signed.manifest, token) if token is not None else None

    if manifest is None:
        return signed
    if path is not None and not replace_manifest(path, signed.manifest, manifest, media_type):
        return signed

    return replace(signed, manifest=manifest, is_stamped=True)


def try_out(chain: str, sign_claim: Callable[[bytes], bytes]) -> None:
    """Sign an image of one pixel; raises SigningFailed for a chain that cannot sign."""
    with tempfile.TemporaryDirectory() as folder:
        pixel = Path(folder) / "pixel.png"
        pixel.write_bytes(base64.b64decode(_PIXEL_PNG))
        sign(
            pixel,
            Path(folder) / "signed.png",
            "image/png",
            Claim(job="", pack="", version="0"),
            chain=chain,
            sign_claim=sign_claim,
            original=(pixel, "image/png"),
        )


def signing_settings(file_bytes: int) -> dict[str, Any]:
    """Return settings that fetch nothing, keep no thumbnail and bound memory."""
    core: dict[str, Any] = {"backing_store_memory_threshold_in_mb": _SPILL_TO_DISK_MIB}
    if file_bytes > WHOLE_FILE_BYTES:
        core["merkle_tree_chunk_size_in_kb"] = _CHUNK_KIB

    return {
        "core": core,
        "builder": {"thumbnail": {"enabled": False}},
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_after_sign": True},
    }


def _detached(builder: c2pa.Builder, signer: c2pa.Signer, source: Path) -> SignedFile:
    # The file stays byte for byte what was encoded.
    builder.set_no_embed()
    with source.open("rb") as unsigned, tempfile.TemporaryFile(dir=source.parent) as unused:
        manifest = builder.sign(signer, "application/octet-stream", unsigned, unused)

    return SignedFile(manifest=bytes(manifest), embedded=False)


def _add_original(builder: c2pa.Builder, original: tuple[Path, str]) -> None:
    path, media_type = original
    facts = {
        "title": "target",
        # The upload is what was edited, not a mere ingredient.
        "relationship": "parentOf",
        "instance_id": "target",
        "label": "target",
    }

    with path.open("rb") as file:
        builder.add_ingredient(facts, media_type, file)


def _definition(claim: Claim, media_type: str) -> dict[str, Any]:
    agent = {"name": "Likeness", "version": claim.version}
    actions: list[dict[str, Any]] = [
        {"action": "c2pa.opened", "parameters": {"ingredientIds": ["target"]}},
        {
            "action": "c2pa.edited",
            "digitalSourceType": COMPOSITE,
            "softwareAgent": agent,
            "description": "Face replaced by a trained model",
        },
    ]

    # Where the faces are, for viewers that can show it; who they are is not said.
    if claim.faces:
        actions[1]["changes"] = [{"description": "faces", "region": _regions(claim.faces)}]

    swap: dict[str, Any] = {
        "job": claim.job,
        "pack": claim.pack,
        "consent_receipts": list(claim.consent_receipts),
    }

    assertions = []
    # The soft binding lets a copy that lost its manifest find it again by the mark.
    if claim.mark_id is not None:
        actions.append({"action": "c2pa.watermarked.bound"})
        swap["mark"] = "lk1"
        binding = {
            "alg": "org.likeness.lk1",
            "blocks": [{"scope": {}, "value": mark_name(claim.mark_id)}],
        }
        assertions.append({"label": "c2pa.soft-binding", "data": binding})

    if claim.verify_url:
        swap["verify"] = claim.verify_url
    if not claim.allow_training:
        entries = {name: {"use": "notAllowed"} for name in _NOT_ALLOWED}
        assertions.append({"label": "cawg.training-mining", "data": {"entries": entries}})

    return {
        "claim_generator_info": [agent],
        "title": "result",
        "format": media_type,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": "org.likeness.swap", "data": swap},
            *assertions,
        ],
    }


def _regions(faces: Sequence[tuple[int, int, int, int]]) -> list[dict[str, Any]]:
    return [
        {
            "type": "spatial",
            "shape": {
                "type": "rectangle",
                "unit": "pixel",
                "origin": {"x": x, "y": y},
                "width": width,
                "height": height,
            },
        }
        for x, y, width, height in faces
    ]
