from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from models.inference.engine import FaceSwapEngine
from models.inference.errors import BadIdentityError
from models.inference.identity import IdentityCode, SpecialisedWeights
from models.inference.painting.face_painter import Identity


def test_a_code_survives_storage(ada: Identity) -> None:
    stored = ada.code.to_bytes()
    restored = IdentityCode.from_bytes(stored)
    assert restored.pack == ada.code.pack
    assert np.array_equal(restored.embedding, ada.code.embedding)
    assert restored.texture is not None
    assert ada.code.texture is not None
    assert np.array_equal(restored.texture, ada.code.texture)
    assert restored.feature_map is None
    assert len(stored) < 200_000


def test_stored_weights_are_half_precision_and_swap_alike(
    engine: FaceSwapEngine, ada: Identity
) -> None:
    weights = engine.specialise(ada.code)
    stored = weights.to_bytes()
    assert len(weights.tensors) == 18
    numbers = sum(tensor.size for tensor in weights.tensors.values())
    assert 2 * numbers < len(stored) < 2 * numbers + 4_000  # two bytes each, and their names
    restored = SpecialisedWeights.from_bytes(stored)
    target = np.random.default_rng(0).integers(0, 255, (224, 224, 3), np.uint8)
    again = engine.identity("ada from storage", ada.code, restored)
    exact = engine.identity("ada exact", ada.code, weights)
    texture = ada.code.texture
    (face, mask), (other, other_mask) = (
        one.swapper.swap(target, texture) for one in (exact, again)
    )
    assert np.abs(face.astype(int) - other).max() <= 3
    assert mask == pytest.approx(other_mask, abs=0.02)


@pytest.mark.parametrize(
    "junk",
    [b"", b"not an identity", pickle.dumps({"embedding": [1.0]}), b"PK\x03\x04 half a zip file"],
)
def test_what_is_not_an_identity_is_refused(junk: bytes) -> None:
    with pytest.raises(BadIdentityError):
        IdentityCode.from_bytes(junk)


def test_an_archive_with_a_pickle_inside_is_refused() -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        format=np.array("likeness-code-1"),
        pack=np.array("p"),
        embedding=np.array([{}], dtype=object),
    )

    with pytest.raises(BadIdentityError):
        IdentityCode.from_bytes(buffer.getvalue())


@pytest.mark.parametrize(
    "junk", [b"", b"likeness-weights-1\n", b"likeness-weights-1\n\x02\x00\x00\x00[]123"]
)
def test_what_are_not_weights_is_refused(junk: bytes) -> None:
    with pytest.raises(BadIdentityError):
        SpecialisedWeights.from_bytes(junk)


def test_truncated_weights_are_refused(engine: FaceSwapEngine, ada: Identity) -> None:
    with pytest.raises(BadIdentityError):
        SpecialisedWeights.from_bytes(engine.specialise(ada.code).to_bytes()[:-1000])


def test_weights_are_not_taken_for_a_code(engine: FaceSwapEngine, ada: Identity) -> None:
    with pytest.raises(BadIdentityError):
        IdentityCode.from_bytes(engine.specialise(ada.code).to_bytes())


def test_weights_of_another_network_are_refused(engine: FaceSwapEngine, ada: Identity) -> None:
    wrong = SpecialisedWeights({"encoder.0.depthwise": np.zeros((3, 1, 4, 4), np.float32)})
    with pytest.raises(BadIdentityError):
        engine.identity("of another pack", ada.code, wrong)
