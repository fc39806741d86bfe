"""What is large and personal of an identity, sealed beside the media: its code, refined weights.

Each identity has a key of its own, which lies in its record in the store. Once that is deleted,
nobody can read what was sealed with it: not in the bucket, not in a copy of it. The record store
keeps a kilobyte of an identity instead of a hundred.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from worker.errors import MediaUnavailable, WorkerError
from worker.stores.blobs.blobs import Blobs

Key: TypeAlias = bytes
KEY_BITS = 256
NONCE_BYTES = 12  # as NIST SP 800-38D has it for GCM; random, since a key seals a handful of things


class SealBroken(WorkerError):
    """The bytes are not what was sealed: media and memory flip bits."""

    code = "seal_broken"
    message = "The identity's data are corrupt."


class IdentityVault:
    """Sealed bytes by identity and name."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    def put(self, identity_id: str, name: str, key: Key, content: bytes) -> None:
        """Seal bytes under a name that the identity does not have yet.

        Raises:
            DiskFull, MediaUnavailable
        """
        place = _place(identity_id, name)
        nonce = secrets.token_bytes(NONCE_BYTES)
        # Bound to the place, so that no two of them can be exchanged.
        sealed = nonce + AESGCM(key).encrypt(nonce, content, place.encode())
        if not self._blobs.create(place, sealed):
            raise MediaUnavailable("The identity's place in the media is taken.")

    def get(self, identity_id: str, name: str, key: Key) -> bytes:
        """Return what was sealed.

        Raises:
            FileNotFoundError: it is gone.
            SealBroken: it is no longer what was sealed.
            MediaUnavailable
        """
        place = _place(identity_id, name)
        sealed = self._blobs.read(place)
        try:
            return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
        except InvalidTag as error:
            raise SealBroken from error

    def delete(self, identity_id: str, name: str) -> None:
        """Remove one of an identity's names; raises MediaUnavailable."""
        self._blobs.delete(_place(identity_id, name))

    def forget(self, identity_id: str) -> None:
        """Remove all that is sealed of an identity whose key is deleted.

        Media that are away are no error: nobody can read it, and the sweep removes it later.
        """
        with suppress(MediaUnavailable):
            self._blobs.delete_all(folder_of(identity_id))


def new_key() -> Key:
    """Return a key for a new identity."""
    return AESGCM.generate_key(KEY_BITS)


def folder_of(identity_id: str) -> str:
    """Return the folder of an identity; the last letters of its id are random and spread them."""
    return f"identities/{identity_id[-2:]}/{identity_id}"


def _place(identity_id: str, name: str) -> str:
    return f"{folder_of(identity_id)}/{name}"
