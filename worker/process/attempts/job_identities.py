"""The identities that a job names, and no others: what its child may ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.contract.requests import JobPayload
from worker.errors import IdentityErased, UnknownIdentity
from worker.stores.identities.identity_records import IdentityRecord
from worker.stores.identities.identity_store import IdentityStore


class JobIdentities:
    """The identities that a job's payload names, of its own tenant; implements `Identities`.

    What is asked of their records is as it was when the attempt began. One that is erased since is
    in no result: `lua/settle.lua` looks again in the step that commits.
    """

    def __init__(
        self,
        identities: IdentityStore,
        payload: JobPayload,
        records: Mapping[str, IdentityRecord],
    ) -> None:
        self._identities = identities
        # A compromised child may ask for any id; only those of its own job are answered.
        self._named = payload.identities()
        self._tenant = payload.tenant
        self._records = records

    def record(self, identity_id: str) -> IdentityRecord:
        """Return an identity's record; raises UnknownIdentity, IdentityErased."""
        record = self._records.get(self._require(identity_id))
        # The record of another tenant would have been tampered with.
        if record is None or record.tenant != self._tenant:
            raise IdentityErased
        return record

    def records(self) -> list[IdentityRecord]:
        """Return the records of all of them, in the order of their ids."""
        return [self.record(identity_id) for identity_id in sorted(self._named)]

    def pack(self) -> str:
        """Return the pack with which the job's identities were registered."""
        return self.record(min(self._named)).pack

    def quality(self, identity_id: str) -> str:
        """Return "instant" or "refined"."""
        return self.record(identity_id).quality

    def code(self, identity_id: str) -> bytes:
        """Return the identity's code as it was registered."""
        return self._identities.code(self._require(identity_id), self._tenant)

    def weights_or_build(
        self, identity_id: str, pack: str, build: Callable[[bytes], bytes]
    ) -> bytes:
        """Return the weights, built from the code by one caller at a time where none are kept."""
        return self._identities.weights_or_build(self._require(identity_id), pack, build)

    def put_refined(
        self, identity_id: str, pack: str, weights: bytes, refinement: Mapping[str, Any]
    ) -> None:
        """Replace the derived weights by refined ones."""
        self._identities.put_refined(self._require(identity_id), pack, weights, refinement)

    def _require(self, identity_id: str) -> str:
        # As unknown as one that does not exist: a child must not learn which ids do.
        if identity_id not in self._named:
            raise UnknownIdentity
        return identity_id
