"""Reads the parts of a TensorFlow Lite flatbuffer that a converter needs.

Field numbers follow tensorflow/lite/schema/schema.fbs; a table's vtable makes absent fields mean
their defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import flatbuffers.encode
import flatbuffers.flexbuffers
import flatbuffers.number_types as number
import flatbuffers.packer
import flatbuffers.table
import numpy as np
from numpy.typing import NDArray

# Numbers of `TensorType` in TensorFlow's schema.fbs; only those that the models hold.
FLOAT32 = 0
FLOAT16 = 1
INT32 = 2
NUMPY_TYPES: dict[int, type[np.generic]] = {
    FLOAT32: np.float32,
    FLOAT16: np.float16,
    INT32: np.int32,
    9: np.int8,
    3: np.uint8,
}
SPARSE = 1  # DimensionType.SPARSE_CSR
SPARSE_INDEX_TYPES: dict[int, type[np.generic]] = {1: np.int32, 2: np.uint16, 3: np.uint8}


class Table:
    """One flatbuffer table, read field by field."""

    def __init__(self, data: bytes, position: int) -> None:
        self._table = flatbuffers.table.Table(data, position)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """Return the outermost table of a flatbuffer file."""
        return cls(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))

    def _offset(self, field: int) -> int:
        # A flatbuffer's field k lies at 4 + 2 k in its table of offsets.
        return int(self._table.Offset(4 + 2 * field))

    def integer(self, field: int, default: int = 0, width: int = 4) -> int:
        """Return a signed scalar of `width` bytes, or its default when the file leaves it out."""
        kind = {1: number.Int8Flags, 4: number.Int32Flags}[width]
        offset = self._offset(field)
        return int(self._table.Get(kind, self._table.Pos + offset)) if offset else default

    def text(self, field: int) -> str:
        offset = self._offset(field)
        return bytes(self._table.String(self._table.Pos + offset)).decode() if offset else ""

    def table(self, field: int) -> Table | None:
        offset = self._offset(field)
        return (
            Table(self._table.Bytes, self._table.Indirect(self._table.Pos + offset))
            if offset
            else None
        )

    def tables(self, field: int) -> Iterator[Table]:
        offset = self._offset(field)
        if offset:
            start = self._table.Vector(offset)
            for index in range(self._table.VectorLen(offset)):
                yield Table(self._table.Bytes, self._table.Indirect(start + 4 * index))

    def array(self, field: int, dtype: type[np.generic] = np.int32) -> NDArray[np.generic]:
        """Return a vector of scalars; empty when absent."""
        offset = self._offset(field)
        if not offset:
            return np.zeros(0, dtype)

        return np.frombuffer(
            self._table.Bytes, dtype, self._table.VectorLen(offset), self._table.Vector(offset)
        )


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    constant: NDArray[np.generic] | None  # None: computed while the graph runs


@dataclass(frozen=True)
class Operator:
    """One step of the graph: `code` is its BuiltinOperator; one that TensorFlow itself lacks has
    a `custom` name, and `settings` in place of options.
    """

    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None
    custom: str
    settings: dict[str, Any]

    def option(self, field: int, default: int = 0, width: int = 4) -> int:
        return default if self.options is None else self.options.integer(field, default, width)


class TfliteModel:
    """The first subgraph of a .tflite file: tensors, operators in execution order, inputs and
    outputs.
    """

    def __init__(self, data: bytes) -> None:
        root = Table.root(data)
        # Old files have the code in a byte, newer ones in an integer: the larger is the one that is
        # set.
        self._codes = [
            (max(code.integer(0, width=1), code.integer(3)), code.text(1))
            for code in root.tables(1)
        ]
        self._buffers = [buffer.array(0, np.uint8) for buffer in root.tables(4)]
        # Only one graph: none of the models has subgraphs.
        self._graph = next(root.tables(2))
        self.inputs = tuple(int(index) for index in self._graph.array(1))
        self.outputs = tuple(int(index) for index in self._graph.array(2))

    @cached_property
    def tensors(self) -> list[Tensor]:
        return [self._tensor(table) for table in self._graph.tables(0)]

    @cached_property
    def operators(self) -> list[Operator]:
        return [self._operator(table) for table in self._graph.tables(3)]

    def _operator(self, table: Table) -> Operator:
        code, custom = self._codes[table.integer(0)]
        settings = table.array(5, np.uint8).tobytes()

        return Operator(
            code=code,
            inputs=tuple(int(index) for index in table.array(1)),
            outputs=tuple(int(index) for index in table.array(2)),
            options=table.table(4),
            custom=custom,
            settings=flatbuffers.flexbuffers.Loads(settings) if settings else {},
        )

    def _tensor(self, table: Table) -> Tensor:
        shape = tuple(int(size) for size in table.array(0))
        raw = self._buffers[table.integer(2)]

        if not raw.size:
            return Tensor(table.text(3), shape, None)

        values = raw.view(NUMPY_TYPES[table.integer(1, width=1)])
        sparsity = table.table(6)
        constant = values.reshape(shape) if sparsity is None else _densify(values, shape, sparsity)

        return Tensor(table.text(3), shape, constant)


def _densify(
    values: NDArray[np.generic], shape: tuple[int, ...], sparsity: Table
) -> NDArray[np.generic]:
    """Expand a constant stored as nested dense and compressed-row dimensions (schema.fbs,
    SparsityParameters).
    """
    blocks = sparsity.array(1)
    levels = list(sparsity.tables(2))
    walk = np.zeros((1, 0), int)  # one row per stored value so far, one column per level

    for level in levels:
        walk = _descend(walk, level)

    coordinates = np.zeros((len(walk), len(shape)), int)
    for column, dimension in enumerate(sparsity.array(0)):
        # A dimension past the last is a block inside an earlier one, and counts in units of its own
        # size.
        axis = int(dimension) if dimension < len(shape) else int(blocks[dimension - len(shape)])
        coordinates[:, axis] = coordinates[:, axis] * levels[column].integer(1) + walk[:, column]

    dense = np.zeros(shape, values.dtype)
    dense[tuple(coordinates.T)] = values
    return dense


def _descend(walk: NDArray[np.int_], level: Table) -> NDArray[np.int_]:
    if level.integer(0, width=1) != SPARSE:
        size = level.integer(1)
        return np.column_stack([np.repeat(walk, size, axis=0), np.tile(np.arange(size), len(walk))])
    segments, indices = (_sparse_index(level, field) for field in (2, 4))
    return np.column_stack([np.repeat(walk, np.diff(segments), axis=0), indices])


def _sparse_index(level: Table, field: int) -> NDArray[np.int_]:
    vector = level.table(field + 1)
    if vector is None:
        raise ValueError("a compressed dimension lacks its index vector")
    return vector.array(0, SPARSE_INDEX_TYPES[level.integer(field, width=1)]).astype(int)
