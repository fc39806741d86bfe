"""Encryption of what the store holds of people on the never-swap list."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worker.errors import BlocklistUnreadable

# As NIST SP 800-38D has it for GCM; random for each entry, and needed to open it.
NONCE_BYTES = 12


class Sealer:
    """Seals with a key that lies outside the store, bound to the id of what is sealed."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, name: str, content: bytes) -> bytes:
        """Return content that only this key opens, and only under the same name."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, content, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return what was sealed; raises BlocklistUnreadable."""
        nonce = sealed[:NONCE_BYTES]
        try:
            return self._cipher.decrypt(nonce, sealed[NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError) as error:
            raise BlocklistUnreadable from error
