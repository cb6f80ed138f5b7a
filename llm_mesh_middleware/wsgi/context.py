"""An application's response, iterated in the context that its request was served in.

A server iterates a response after the application has returned, in its own context; a streamed
response would lose the attributes of its request.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterable, Iterator

__all__ = ["in_this_context"]


def in_this_context(response: Iterable[bytes]) -> Iterable[bytes]:
    """Return `response`, bound to this context if it is generated piece by piece."""
    if isinstance(response, list | tuple):
        return response
    return _Bound(response)


class _Bound:
    def __init__(self, response: Iterable[bytes]) -> None:
        self._response = response
        self._context = contextvars.copy_context()
        self._pieces: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._pieces is None:
            self._pieces = self._context.run(iter, self._response)
        return self._context.run(next, self._pieces)

    def close(self) -> None:
        """Close the response, as PEP 3333 requires on every path."""
        close = getattr(self._response, "close", None)
        if close is not None:
            self._context.run(close)
