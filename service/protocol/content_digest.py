"""The Content-Digest header (RFC 9530)."""

from __future__ import annotations

import base64

from service.protocol.problems import ServiceError


def content_digest(header: str | None) -> str | None:
    """Return the SHA-256, in hex, of a Content-Digest header; None without one.

    Raises invalid_parameter.
    """
    if header is None:
        return None
    # A dictionary of digests by algorithm; others than SHA-256 may stand beside it, and are not
    # checked.
    for entry in header.split(","):
        name, _, value = entry.strip().partition("=")
        if name.strip() == "sha-256":
            try:
                digest = base64.b64decode(value.strip().strip(":"), validate=True)
            except ValueError as error:
                raise ServiceError("invalid_parameter", "Content-Digest is not valid") from error

            # Of any other length it is not what it claims to be, and no match could be trusted.
            if len(digest) == 32:
                return digest.hex()

    raise ServiceError("invalid_parameter", "Content-Digest must give a sha-256")
