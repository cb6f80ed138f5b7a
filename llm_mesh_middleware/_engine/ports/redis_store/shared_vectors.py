"""Vectors on a server, so that processes find the entries of others.

    PREFIX:cache:near:PARTITION   a stream: key of the entry, vector, its expiry; expires itself

The server does not compare. A process reads the part of a partition that it has not read yet, and
compares in its own memory: partitions are small.
"""

from __future__ import annotations

import struct
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from ...._core.caching.semantic.similarity import Near, Nearest, Remember
from ..similarity_index import SimilarityIndex

__all__ = ["SharedVectors"]

_MAX_VECTORS = 1000
_AT_ONCE = 200
_MAX_PARTITIONS = 4096
_KEY, _VECTOR, _ENDS_MS = b"k", b"v", b"e"
_FLOAT_BYTES = 4


class SharedVectors:
    """The vectors that this process has read, and its position in each partition."""

    def __init__(self, prefix: str) -> None:
        """Start with nothing read."""
        self._prefix = f"{prefix}near:"
        self._known = SimilarityIndex()
        self._read_to: OrderedDict[str, bytes] = OrderedDict()

    def local(self, request: Nearest | Remember) -> Sequence[Near]:
        """Find or remember only in this process."""
        return self._known.ask(request)

    def queue(self, commands: Any, request: Nearest | Remember) -> None:
        """Put the commands of a request into a pipeline."""
        name = self._prefix + request.partition
        if isinstance(request, Nearest):
            begin = self._read_to.get(request.partition)
            if begin is None or not self._known.has(request.partition):
                commands.xrange(name, count=_AT_ONCE)
            else:
                commands.xrange(name, min=b"(" + begin, count=_AT_ONCE)
            return
        ends_ms = round((time.time() + request.ttl_s) * 1000)
        vector = struct.pack(f"<{len(request.vector)}f", *request.vector)
        fields = {_KEY: request.key, _VECTOR: vector, _ENDS_MS: ends_ms}
        commands.xadd(name, fields, maxlen=_MAX_VECTORS, approximate=True)
        commands.pexpire(name, max(1, round(request.ttl_s * 1000)))

    def answer(self, request: Nearest | Remember, answers: list[Any]) -> Sequence[Near]:
        """Take the server's answers, and find or remember in memory."""
        if isinstance(request, Nearest):
            for number, fields in answers[0] or ():
                self._take(request.partition, fields)
                self._read_to[request.partition] = number
            if len(self._read_to) > _MAX_PARTITIONS:
                self._read_to.popitem(last=False)
        return self._known.ask(request)

    def _take(self, partition: str, fields: dict[bytes, bytes]) -> None:
        key, data = fields.get(_KEY, b""), fields.get(_VECTOR, b"")
        ends_ms = fields.get(_ENDS_MS, b"")
        if not (key.isascii() and ends_ms.isdigit() and data) or len(data) % _FLOAT_BYTES:
            return  # not ours
        left_s = int(ends_ms) / 1000 - time.time()
        if left_s > 0:
            vector = struct.unpack(f"<{len(data) // _FLOAT_BYTES}f", data)
            self._known.ask(Remember(partition, vector, key.decode(), left_s))
