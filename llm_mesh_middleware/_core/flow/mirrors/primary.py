"""The call that a client is served by, as its copies are compared with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import blake2b

import msgspec

from ...dialect import ServedOperation
from ...values.operations import Operation
from ..call import Ending
from .outcome import MirrorLeg

__all__ = ["Primary", "leg_of"]

Told = Callable[[MirrorLeg], None]


class Primary:
    """Waits for the end of the client's call: copies may end before or after it.

    Copies end in threads or tasks of their own, so there is a lock.
    """

    def __init__(
        self,
        lock: AbstractContextManager[object],
        operation: Operation | None,
        began_at: float,
        clock: Callable[[], float],
        *,
        compares_content: bool,
    ) -> None:
        self._lock = lock
        self._operation = operation if compares_content else None
        self._began_at = began_at
        self._clock = clock
        self._waiting: list[Told] = []
        self._leg: MirrorLeg | None = None
        self.first_byte_s: float | None = None

    def end(self, ending: Ending) -> None:
        """Note how the call has ended, and tell those who wait for that."""
        took_s = self._clock() - self._began_at
        leg = leg_of(ending, self._operation, took_s, self.first_byte_s)
        with self._lock:
            self._leg, waiting = leg, self._waiting
            self._waiting = []
        for told in waiting:
            told(leg)

    def once_ended(self, told: Told) -> None:
        """Call `told` with how the call has ended: now, or when it ends."""
        with self._lock:
            leg = self._leg
            if leg is None:
                self._waiting.append(told)
                return
        told(leg)


def leg_of(
    ending: Ending,
    operation: Operation | None,
    duration_s: float,
    first_byte_s: float | None,
    size_bytes: int | None = None,
) -> MirrorLeg:
    """Return how a call has ended.

    Args:
        ending: what its account says.
        operation: reads the texts for a digest; None for no digest.
        duration_s: how long it took.
        first_byte_s: how long it took up to the beginning of the response.
        size_bytes: the size of the response.
    """
    summary = ending.summary
    body = None if summary is None else summary.body
    return MirrorLeg(
        ending.provider,
        (summary and summary.model) or ending.model,
        ending.status,
        duration_s,
        first_byte_s,
        size_bytes,
        () if summary is None else summary.finish_reasons,
        ending.usage,
        ending.charges,
        None if body is None or operation is None else _digest(operation, body),
    )


def _digest(operation: Operation, body: bytes) -> bytes | None:
    """Return a digest of the texts of a response, which do not depend on ids and times."""
    if not isinstance(operation, ServedOperation):
        return None
    try:
        value = msgspec.json.decode(body)
        texts = [place.text for place in operation.dialect.texts.read_response(value)]
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
