"""The OpenTelemetry context that is active while the HTTP client sends a request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import Token
from functools import partial

from opentelemetry import context
from opentelemetry.context import Context

__all__ = ["ClientScope"]

# HTTP instrumentations make no span while this key is set.
_SUPPRESS_HTTP = context._SUPPRESS_HTTP_INSTRUMENTATION_KEY


class ClientScope:
    """Makes the context manager around the HTTP client's call, for the task that makes the call."""

    def __init__(self, *, suppresses_http_spans: bool, is_needed: bool) -> None:
        """`is_needed`: the client runs code that may read the context."""
        self._suppresses = suppresses_http_spans
        self.is_needed = is_needed

    def around(self, active: Context) -> Callable[[], AbstractContextManager[None]]:
        """Return a context manager in which `active` is the current context.

        Args:
            active: without baggage, which an HTTP instrumentation would send to the provider.
        """
        if self._suppresses:
            active = context.set_value(_SUPPRESS_HTTP, True, active)
        return partial(_Attached, active)


class _Attached(AbstractContextManager[None]):
    """A class, since a generator takes four times as long."""

    __slots__ = ("_active", "_token")

    def __init__(self, active: Context) -> None:
        self._active = active

    def __enter__(self) -> None:
        self._token: Token[Context] = context.attach(self._active)

    def __exit__(self, *_: object) -> None:
        context.detach(self._token)
