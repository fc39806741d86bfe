"""The code of the invisible mark `lk1`: 48 bits as a keyed tile of 64 x 64 chips (docs/trust.md).

A quarter of the tile is a synchronisation sequence that tells where the tile begins. The rest is
twelve sets of 256 chips; each set carries one of 256 Walsh functions, that is, one Reed-Solomon
symbol. Places and signs of all chips are drawn from a key, so that only its holder can find,
remove or forge a mark.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import reedsolo
from numpy.typing import NDArray

# float32 [64, 64]: the signs -1 and 1 of a tile, or the evidence for them that a reader found.
Chips: TypeAlias = NDArray[np.float32]

TILE = 64
# A quarter: enough to find the tile at seven deviations, and no more than that.
SYNC_CHIPS = 1024
SYMBOLS = 12
# Four bytes of id and two of check; the other half corrects errors.
DATA_SYMBOLS = 6
# One Walsh function each: any two differ in half of their chips.
CHIPS_PER_SYMBOL = 256

_ID_BYTES = 4
# Known to everybody on purpose: whoever has this source can see that there is a mark.
_PUBLIC_SYNC = b"likeness-lk1"


@dataclass(frozen=True)
class MarkTile:
    """What is drawn for one job: its chips, and where the tile begins in this segment.

    It says nothing about the key, so a process that decodes untrusted media may hold it.
    """

    chips: NDArray[np.int8]
    shift: tuple[int, int] = (0, 0)

    @property
    def shifted(self) -> Chips:
        """The chips as they are drawn, rolled by the shift (rows, columns)."""
        return np.roll(self.chips, self.shift, axis=(0, 1)).astype(np.float32)


@dataclass(frozen=True)
class MarkCode:
    """The chips of one installation; `public_sync` lets any installation see that a mark is there.

    A public synchronisation sequence can be subtracted by anyone who knows this source, which
    hides the mark; a keyed one cannot.
    """

    key: bytes
    public_sync: bool = False

    def tile(self, mark_id: int, segment: int = 0) -> MarkTile:
        """Return the tile that carries a 32-bit id, shifted as `segment` of a video wants it.

        Each segment has another shift, so that an average over a whole video cannot collect the
        pattern and put it onto another one.
        """
        words = bytearray(mark_id.to_bytes(_ID_BYTES, "big"))
        words += self._check(bytes(words))
        chips = np.zeros(TILE * TILE, np.int8)
        chips[self._places[:SYNC_CHIPS]] = self._sync

        symbols = reedsolo.RSCodec(SYMBOLS - DATA_SYMBOLS).encode(bytes(words))
        for index, symbol in enumerate(symbols):
            chips[self._symbol_places[index]] = _WALSH[symbol] * self._signs[index]

        return MarkTile(chips=chips.reshape(TILE, TILE), shift=self._shift(mark_id, segment))

    def read(self, evidence: Chips) -> int | None:
        """Return the id in a tile that begins at its first chip, or None where none is proved.

        The Reed-Solomon code alone accepts one random tile in fifteen; the 16-bit keyed check
        leaves one in a million.
        """
        chips = evidence.ravel()
        symbols = np.empty(SYMBOLS, np.uint8)
        certainty = np.empty(SYMBOLS)

        for index in range(SYMBOLS):
            scores = _WALSH @ (chips[self._symbol_places[index]] * self._signs[index])
            # How much better the best is than the next says how certain it is.
            second, first = np.argsort(scores)[-2:]
            symbols[index] = first
            certainty[index] = (scores[first] - scores[second]) / (scores.std() + 1e-9)

        return self._correct(symbols, np.argsort(certainty))

    def _correct(self, symbols: NDArray[np.uint8], doubtful: NDArray[np.intp]) -> int | None:
        """Try with ever more of the least certain symbols taken for lost."""
        codec = reedsolo.RSCodec(SYMBOLS - DATA_SYMBOLS)
        # An erasure costs one symbol of redundancy, an error two: leaving out the doubtful ones
        # helps.
        for lost in range(SYMBOLS - DATA_SYMBOLS):
            try:
                words = codec.decode(
                    symbols.tobytes(), erase_pos=[int(place) for place in doubtful[:lost]]
                )[0]
            except reedsolo.ReedSolomonError:
                continue

            identity = bytes(words[:_ID_BYTES])
            if hmac.compare_digest(self._check(identity), bytes(words[_ID_BYTES:])):
                return int.from_bytes(identity, "big")

        return None

    @cached_property
    def sync_tile(self) -> Chips:
        """The synchronisation sequence alone; zero where symbols are."""
        chips = np.zeros(TILE * TILE, np.float32)
        chips[self._places[:SYNC_CHIPS]] = self._sync
        return chips.reshape(TILE, TILE)

    @cached_property
    def _places(self) -> NDArray[np.intp]:
        return self._draw(self._sync_key, b"places").permutation(TILE * TILE)

    @cached_property
    def _symbol_places(self) -> NDArray[np.intp]:
        return self._places[SYNC_CHIPS:].reshape(SYMBOLS, CHIPS_PER_SYMBOL)

    @cached_property
    def _sync(self) -> NDArray[np.int8]:
        return _signs(self._draw(self._sync_key, b"sync"), SYNC_CHIPS)

    @cached_property
    def _signs(self) -> NDArray[np.int8]:
        signs = _signs(self._draw(self.key, b"symbols"), SYMBOLS * CHIPS_PER_SYMBOL)
        return signs.reshape(SYMBOLS, CHIPS_PER_SYMBOL)

    @property
    def _sync_key(self) -> bytes:
        return _PUBLIC_SYNC if self.public_sync else self.key

    def _check(self, identity: bytes) -> bytes:
        return hmac.digest(self.key, b"check" + identity, "sha256")[: DATA_SYMBOLS - _ID_BYTES]

    def _shift(self, mark_id: int, segment: int) -> tuple[int, int]:
        # Keyed: without the key nobody knows where a tile begins.
        words = hmac.digest(self.key, f"shift {mark_id} {segment}".encode(), "sha256")
        return words[0] % TILE, words[1] % TILE

    @staticmethod
    def _draw(key: bytes, purpose: bytes) -> np.random.Generator:
        seed = hashlib.sha256(key + purpose).digest()
        # Seeded by the key alone: the same key draws the same chips in every process.
        return np.random.Generator(np.random.PCG64(int.from_bytes(seed, "big")))


def _signs(draw: np.random.Generator, count: int) -> NDArray[np.int8]:
    return (draw.integers(0, 2, count) * 2 - 1).astype(np.int8)


def _walsh() -> NDArray[np.int8]:
    # Sylvester's construction: each doubling keeps all rows orthogonal.
    rows = np.array([[1]], np.int8)
    while len(rows) < CHIPS_PER_SYMBOL:
        rows = np.block([[rows, rows], [rows, -rows]])
    return rows


_WALSH = _walsh()
