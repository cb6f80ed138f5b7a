"""Vectors in the memory of one process, compared with all others of their partition.

There is no index: requests of a partition differ only in the wording of one message, so it is
small, and comparing a vector with a thousand others takes half a millisecond. Vectors and bytes are
limited: in a full partition the oldest is overwritten, and the least recently used partition is
dropped first.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ..._core.caching.semantic.similarity import Near, Nearest, Remember, Vector
from ..._process.forks import ForkLock

__all__ = ["Vectors"]

_Floats: TypeAlias = npt.NDArray[np.float32]

_MAX_BYTES = 64 * 2**20
_MAX_VECTORS = 10_000
_MAX_IN_PARTITION = 1000
_FIRST_ROWS = 4
# The most entries to look up: the nearest may have expired.
_BEST = 3
# The bytes of a row in addition to its vector.
_OVERHEAD = 300


class Vectors:
    """Vectors by partition, each with the key of an entry and its expiry."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        max_bytes: int = _MAX_BYTES,
        max_vectors: int = _MAX_VECTORS,
    ) -> None:
        """Begin empty.

        Args:
            clock: a monotonic clock, in seconds.
            max_bytes: the limit of all vectors together.
            max_vectors: the most vectors.
        """
        self._clock = clock
        self._max_bytes = max_bytes
        self._max_vectors = max_vectors
        self._lock = ForkLock()
        self._partitions: OrderedDict[str, _Partition] = OrderedDict()
        self.size = 0
        self.count = 0

    def has(self, partition: str) -> bool:
        """Return whether there is anything of a partition."""
        return partition in self._partitions

    def nearest(self, request: Nearest) -> tuple[Near, ...]:
        """Return the vectors above the threshold, the nearest first."""
        unit = _unit(request.vector)
        with self._lock.of_process:
            partition = self._partitions.get(request.partition)
            if unit is None or partition is None or partition.width != len(unit):
                return ()
            self._partitions.move_to_end(request.partition)
            return partition.nearest(unit, request.threshold, self._clock())

    def remember(self, request: Remember) -> None:
        """Add a vector, or overwrite that of the same entry."""
        unit = _unit(request.vector)
        if unit is None:
            return
        with self._lock.of_process:
            partition = self._partitions.get(request.partition)
            if partition is None or partition.width != len(unit):
                self._drop(request.partition)
                partition = self._partitions[request.partition] = _Partition(len(unit))
            else:
                self._account(partition, -1)
            self._partitions.move_to_end(request.partition)
            partition.put(request.key, unit, self._clock() + request.ttl_s)
            self._account(partition, 1)
            while self.size > self._max_bytes or self.count > self._max_vectors:
                self._drop(next(iter(self._partitions)))

    def _drop(self, name: str) -> None:
        partition = self._partitions.pop(name, None)
        if partition is not None:
            self._account(partition, -1)

    def _account(self, partition: _Partition, sign: int) -> None:
        self.size += sign * partition.size
        self.count += sign * len(partition.keys)


class _Partition:
    """The vectors of one partition, as rows of length 1."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.keys: list[str] = []
        self._rows: dict[str, int] = {}
        self._ends_at: npt.NDArray[np.float64] = np.empty(_FIRST_ROWS, np.float64)
        self._units: _Floats = np.empty((_FIRST_ROWS, width), np.float32)
        self._oldest = 0

    @property
    def size(self) -> int:
        return int(self._units.nbytes) + len(self._units) * _OVERHEAD

    def put(self, key: str, unit: _Floats, ends_at: float) -> None:
        row = self._rows.get(key)
        if row is None:
            row = self._new_row(key)
        self._units[row], self._ends_at[row] = unit, ends_at

    def nearest(self, unit: _Floats, threshold: float, now: float) -> tuple[Near, ...]:
        count = len(self.keys)
        # Not `@`, whose threads take a hundred times as long on a busy machine.
        alike = np.einsum("ij,j->i", self._units[:count], unit)
        alike[self._ends_at[:count] <= now] = -1
        best = np.argsort(-alike)[:_BEST]
        # Rounding may bring equal vectors above 1.
        return tuple(
            Near(self.keys[row], min(1.0, float(alike[row])))
            for row in best.tolist()
            if alike[row] >= threshold
        )

    def _new_row(self, key: str) -> int:
        row = len(self.keys)
        if row == _MAX_IN_PARTITION:
            row, self._oldest = self._oldest, (self._oldest + 1) % _MAX_IN_PARTITION
            del self._rows[self.keys[row]]
            self.keys[row] = key
        else:
            self.keys.append(key)
            if row == len(self._units):
                self._grow()
        self._rows[key] = row
        return row

    def _grow(self) -> None:
        more = min(2 * len(self._units), _MAX_IN_PARTITION) - len(self._units)
        self._units = np.concatenate([self._units, np.empty((more, self.width), np.float32)])
        self._ends_at = np.concatenate([self._ends_at, np.empty(more, np.float64)])


def _unit(vector: Vector) -> _Floats | None:
    """Return the vector scaled to length 1, or None for one without a direction."""
    # In double precision, so that the length cannot overflow.
    wide = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(wide))
    if not length or not np.isfinite(length):
        return None
    unit: _Floats = (wide / length).astype(np.float32)
    return unit
