from __future__ import annotations

import hashlib
import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch

from models.export.official_pack import arcface_of, conditioner_and_idn
from models.export.paddle_checkpoint import Arrays, load_into, read_checkpoint
from models.networks.arcface import ArcFace
from models.networks.iim import Conditioner
from models.packs.errors import CheckpointError
from tests.models.export.synthetic_checkpoints import ARCFACE, CONDITIONER, keys, pickled, synthetic

# numpy 1 wrote "numpy.core", numpy 2 writes "numpy._core", once in a file.
RELEASED_SIZES = {CONDITIONER: 82_834_948, ARCFACE: 209_017_341}


def read(data: bytes) -> Arrays:
    return read_checkpoint(data, size=len(data), sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("name", [CONDITIONER, ARCFACE])
def test_synthetic_checkpoint_has_the_released_size_and_reads_back(name: str) -> None:
    arrays = synthetic(name)
    data = pickled(arrays)
    assert len(data) == RELEASED_SIZES[name] + len("_")
    as_numpy_1 = data.replace(
        b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray", 1
    )
    assert len(as_numpy_1) == RELEASED_SIZES[name]

    for name_, array in read(data).items():
        np.testing.assert_array_equal(array, arrays[name_])


def test_reads_what_numpy_1_pickled() -> None:
    data = pickled(OrderedDict(x=np.arange(3, dtype=np.float32)))
    framed = data.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    shorter = (
        framed[:3]
        + (int.from_bytes(framed[3:11], "little") - 1).to_bytes(8, "little")
        + framed[11:]
    )
    np.testing.assert_array_equal(read(shorter)["x"], [0, 1, 2])


def test_accepts_a_table_of_names_and_named_tuples() -> None:
    x = np.ones(2, np.float32)
    assert set(read(pickled({"x": x, "StructuredToParameterName@@": {"x": "linear_0.w_0"}}))) == {
        "x"
    }
    np.testing.assert_array_equal(read(pickled({"x": ("linear_0.w_0", x)}))["x"], x)


class Runs:
    """A pickle that would run a command when it is read without care."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch likeness-was-here",)


def test_pickle_that_would_run_code_is_refused(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    with pytest.raises(CheckpointError, match="system"):
        read(pickled({"x": Runs()}))

    assert not os.path.exists("likeness-was-here")


@pytest.mark.parametrize("value", [[1.0], np.zeros(2), np.array([None]), "text"])
def test_anything_but_float32_arrays_is_refused(value: object) -> None:
    with pytest.raises(CheckpointError, match="x is not a float32 array"):
        read(pickled({"x": value}))


@pytest.mark.parametrize(
    "data", [b"", b"not a pickle", pickle.dumps([1, 2]), pickled({"x": np.ones(9)})[:-20]]
)
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(CheckpointError):
        read(data)


def test_size_and_hash_are_checked_before_anything_is_unpickled() -> None:
    data = pickled({"x": Runs()})
    with pytest.raises(CheckpointError, match="bytes"):
        read_checkpoint(data, size=len(data) + 1, sha256="")
    with pytest.raises(CheckpointError, match="SHA-256"):
        read_checkpoint(data, size=len(data), sha256="0" * 64)


@pytest.mark.parametrize(("name", "network"), [(ARCFACE, ArcFace), (CONDITIONER, Conditioner)])
def test_every_listed_key_lands_under_its_torch_name(
    name: str, network: type[torch.nn.Module]
) -> None:
    arrays = synthetic(name)
    filled = network()
    used = load_into(filled, arrays)
    state = filled.state_dict()

    for key in keys(name):
        if key.paddle in used:
            expected = arrays[key.paddle].T if key.transposed else arrays[key.paddle]
            assert state[key.torch].shape == key.torch_shape
            np.testing.assert_array_equal(state[key.torch].numpy(), expected, err_msg=key.paddle)


def test_linear_weights_act_as_paddle_applies_them() -> None:
    """Two style layers are square, so no shape can tell whether they were transposed: only numbers
    can.
    """
    arrays = synthetic(CONDITIONER)
    conditioner, _ = conditioner_and_idn(arrays)
    z = np.random.default_rng(1).standard_normal((1, 512), np.float32)

    for group in ("EncoderModulation", "DecoderModulation"):
        for index, modulation in enumerate(getattr(conditioner, group)):
            stored = arrays[f"{group}.{index}.style.weight"]
            bias = arrays[f"{group}.{index}.style.bias"]
            style = modulation.style(torch.from_numpy(z)).detach().numpy()
            np.testing.assert_allclose(style, z @ stored + bias, atol=1e-4)

            if stored.shape[0] == stored.shape[1]:
                assert np.abs(style - (z @ stored.T + bias)).max() > 0.1


def test_missing_surplus_and_misshapen_tensors_are_named() -> None:
    arrays = synthetic(CONDITIONER)
    with pytest.raises(CheckpointError, match=r"lacks final\.1\.bias"):
        conditioner_and_idn(
            {name: array for name, array in arrays.items() if name != "final.1.bias"}
        )

    with pytest.raises(CheckpointError, match="surplus"):
        conditioner_and_idn(arrays | {"surplus": np.zeros(1, np.float32)})

    with pytest.raises(CheckpointError, match="shape"):
        conditioner_and_idn(arrays | {"final.1.bias": np.zeros(9, np.float32)})


def test_parameter_counts_are_the_published_ones() -> None:
    conditioner, idn = conditioner_and_idn(synthetic(CONDITIONER))
    count = {
        part: sum(p.numel() for p in module.parameters()) for part, module in idn.named_children()
    }
    assert count == {"final": 589, "mask": 84_209}
    assert sum(p.numel() for p in conditioner.parameters()) == 20_614_912
    assert sum(p.numel() for p in arcface_of(synthetic(ARCFACE)).parameters()) == 52_193_215
