"""The call that a client is served by, as its copies are compared with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import blake2b

import msgspec

from ...dialect import ServedOperation
from ...values.lenient_json import parse_json
from ...values.operations import Operation
from ..call import Account
from .outcome import MirrorLeg

__all__ = ["Primary", "leg_of"]

OnEnd = Callable[[MirrorLeg], None]


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
        self._operation = operation
        self._compares_content = compares_content
        self._began_at = began_at
        self._clock = clock
        self._waiting: list[OnEnd] = []
        self._leg: MirrorLeg | None = None
        self.first_byte_s: float | None = None

    def end(self, ending: Account) -> None:
        """Record the end of the call, and call those who wait for it."""
        took_s = self._clock() - self._began_at
        leg = leg_of(
            ending,
            self._operation,
            took_s,
            self.first_byte_s,
            compares_content=self._compares_content,
        )
        with self._lock:
            self._leg, waiting = leg, self._waiting
            self._waiting = []
        for on_end in waiting:
            on_end(leg)

    def once_ended(self, on_end: OnEnd) -> None:
        """Call `on_end` when the call has ended, at once if it has."""
        with self._lock:
            leg = self._leg
            if leg is None:
                self._waiting.append(on_end)
                return
        on_end(leg)


def leg_of(
    ending: Account,
    operation: Operation | None,
    duration_s: float,
    first_byte_s: float | None,
    size_bytes: int | None = None,
    *,
    compares_content: bool,
) -> MirrorLeg:
    """Return how a call has ended.

    Args:
        ending: what its account says.
        operation: of the request, whose form both calls have.
        duration_s: how long it took.
        first_byte_s: how long it took up to the beginning of the response.
        size_bytes: the size of the response.
        compares_content: whether a digest of its texts is made.
    """
    summary = ending.summary
    body = None if summary is None else summary.body
    served = operation if isinstance(operation, ServedOperation) else None
    return MirrorLeg(
        ending.provider,
        (summary and summary.model) or ending.model,
        ending.status,
        duration_s,
        first_byte_s,
        size_bytes,
        () if summary is None else _finishes(served, summary.finish_reasons),
        ending.usage,
        tuple([charge for charge in ending.charges if charge.is_listed]),
        _digest(served, body) if compares_content and body and served else None,
    )


def _finishes(
    operation: ServedOperation | None, reasons: tuple[str | None, ...]
) -> tuple[str | None, ...]:
    if operation is None:
        return reasons
    finish = operation.dialect.answers.finish
    return tuple(reason and finish(reason) for reason in reasons)


def _digest(operation: ServedOperation, body: bytes) -> bytes | None:
    """Return a digest of what a response says, which does not depend on ids and times."""
    answers = operation.dialect.answers
    whole = body if body[:1] == b"{" else answers.join(body, None)
    contents = [] if whole is None else list(answers.contents(whole))
    if not contents:
        return None
    texts = [part for one in contents for part in (one.text, *map(_call_text, one.calls))]
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _call_text(call: tuple[str, str]) -> str:
    """Return a call with its JSON in one form, without white space and in one order."""
    name, arguments = call
    try:
        value = parse_json(arguments.encode())
        return f"{name} {msgspec.json.encode(value, order='sorted').decode()}"
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return f"{name} {arguments}"
