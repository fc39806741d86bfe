"""The IIM: an identity code becomes the 18 tensors of its own swapper, once."""

from __future__ import annotations

from dataclasses import dataclass

from models.inference.arrays import Tensor
from models.inference.errors import BadIdentityError
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.session import Network


@dataclass(frozen=True)
class WeightGenerator:
    """Runs the pack's IIM graph; its outputs are named like the tensors they are."""

    network: Network

    def generate(self, code: IdentityCode) -> SpecialisedWeights:
        """Return the specialised tensors.

        Raises `BadIdentityError` when the code lacks what this pack needs.
        """
        inputs = [self._input(name, code) for name in self.network.input_names]
        return SpecialisedWeights(self.network(*inputs))

    def _input(self, name: str, code: IdentityCode) -> Tensor:
        value = {"embedding": code.embedding, "feature_map": code.feature_map}.get(name)
        if value is None:
            raise BadIdentityError(f"the identity has no {name}, which pack {code.pack} needs")
        return value[None]
