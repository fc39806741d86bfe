"""Identities whose sessions are open: the least recently used gives way to a new one."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from models.inference.arrays import Landmarks
from models.inference.finding.eyes.iris_network import IrisNetwork
from models.inference.frames.image_frame import ImageFrame
from models.inference.identity import IdentityCode, SourceEyes
from models.inference.painting.face_painter import Identity
from models.inference.texture.eyes.iris import cut_out


@dataclass
class ReadyIdentities:
    """At most `most` identities by key, each with a session of some 2.5 MiB. Safe for threads.

    Only the thread that swaps puts and gets; any other may drop one, as an erasure does.
    """

    most: int
    _held: OrderedDict[str, Identity] = field(default_factory=OrderedDict, init=False)
    _holding: Lock = field(default_factory=Lock, init=False)

    def get(self, key: str) -> Identity | None:
        """Return the identity held under `key`, which is now the most recently used, or None."""
        with self._holding:
            if key in self._held:
                self._held.move_to_end(key)

            return self._held.get(key)

    def put(self, identity: Identity) -> None:
        """Hold an identity under its own key."""
        with self._holding:
            self._held[identity.key] = identity
            # The oldest first; whatever is swapping keeps its own reference.
            while len(self._held) > self.most:
                self._held.popitem(last=False)

    def drop(self, key: str) -> None:
        """Let go of an identity. A swap that is using it keeps it until it is done."""
        with self._holding:
            # Not an error when it is not here: erasures are told to every worker.
            self._held.pop(key, None)


def source_eyes(
    code: IdentityCode, mesh: Landmarks | None, iris: IrisNetwork | None
) -> SourceEyes | None:
    """Return an identity's irises, or None where the pack draws none.

    `mesh` is the canonical texture's. A code made before irises were kept shows them itself: its
    texture has eyes.
    """
    if iris is None or code.eyes is not None or code.texture is None or mesh is None:
        return code.eyes if iris is not None else None

    # The texture is RGB, frames are BGR.
    texture = ImageFrame(np.ascontiguousarray(code.texture[..., ::-1]))
    return cut_out(code.texture, iris.look(texture, mesh))
