"""One file with everything a device needs to swap one identity into what its camera sees.

A zip archive, described in docs/on_device.md: the network, the identity's texture, and the geometry
that says where each part of the texture goes. `manifest.json` names and hashes the other members.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.device.errors import DeviceTemplateError
from models.device.template import MEMBERS, Form, Template
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.texture.face_texture import CanonicalFace

FORMAT = "likeness-device-1"
MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
TEXTURE = "texture.png"
MASK = "mask.png"
GEOMETRY = "geometry.bin"
DATE = (1980, 1, 1, 0, 0, 0)  # equal inputs give equal bytes; when it was made is in the manifest


@dataclass(frozen=True)
class DeviceExporter:
    """Writes bundles of one pack's identities."""

    pack: str
    canonical: CanonicalFace
    templates: Mapping[Form, Template]

    def write(
        self,
        destination: Path,
        form: Form,
        code: IdentityCode,
        weights: SpecialisedWeights,
        facts: Mapping[str, Any],
        sign: Callable[[bytes], bytes] | None,
    ) -> dict[str, Any]:
        """Write a bundle and return its manifest.

        Args:
            destination: the file to write.
            form: of the network.
            code, weights: the identity.
            facts: what the manifest says beside the members: owner, expiry, mark, consent.
            sign: signs the manifest's bytes; None leaves the bundle unsigned.

        Raises:
            DeviceTemplateError: the identity has no texture, or is of another pack.
        """
        if code.texture is None or code.landmarks is None:
            raise DeviceTemplateError("only identities with a texture can be exported")

        geometry, layout = self._geometry(code)
        members = {
            MEMBERS[form]: self.templates[form].filled(weights.tensors),
            TEXTURE: _png(cv2.cvtColor(code.texture, cv2.COLOR_RGB2BGR)),
            MASK: _png(self.canonical.mask),
            GEOMETRY: geometry,
        }
        manifest = {
            "format": FORMAT,
            "pack": self.pack,
            "form": form,
            "network": MEMBERS[form],
            "geometry": layout,
            **facts,
            "members": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in members.items()
            },
        }

        text = json.dumps(manifest, indent=1, sort_keys=True).encode()
        members = {MANIFEST: text, **members}
        if sign is not None:
            members[SIGNATURE] = sign(text)

        _write(destination, members)
        return manifest

    def _geometry(self, code: IdentityCode) -> tuple[bytes, list[dict[str, Any]]]:
        """Return the arrays as bytes, one after another, and where each of them lies."""
        assert code.landmarks is not None  # noqa: S101 - the caller has looked
        canonical = self.canonical
        arrays: dict[str, np.ndarray[Any, Any]] = {
            "mesh": canonical.mesh.astype("<f4"),
            "texels": canonical.texels.astype("<f4"),
            "shift_weights": canonical.shift_weights.astype("<f4"),
            "proportions": canonical.proportions(code.landmarks).astype("<f4"),
            "triangles": canonical.triangles.astype("<u2"),
        }

        data = b""
        layout = []
        for name, array in arrays.items():
            layout.append(
                {
                    "name": name,
                    "type": array.dtype.name,
                    "shape": list(array.shape),
                    "offset": len(data),
                }
            )
            data += array.tobytes()

        return data, layout


def _png(image: np.ndarray[Any, Any]) -> bytes:
    _, data = cv2.imencode(".png", image)
    return data.tobytes()


def _write(destination: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(destination, "w") as archive:
        for name, data in members.items():
            # A PNG does not get smaller, and weights by a tenth: not worth a client's inflate.
            archive.writestr(zipfile.ZipInfo(name, DATE), data, zipfile.ZIP_STORED)
