"""The end of a call."""

from __future__ import annotations

import msgspec

from .._core.values.usage import Usage
from ..exceptions import AnswerableError, ClientDisconnected, ServerShutdown, UpstreamError

__all__ = ["Ending", "error_type"]


class Ending(msgspec.Struct, frozen=True):
    """The end of a call; `at` is on the performance counter.

    `error_type` has few values: a code of the mesh, a class of exception, or a provider's status.
    """

    at: float
    status: int | None
    error: BaseException | None
    usage: Usage | None
    error_type: str | None

    @classmethod
    def of(
        cls, at: float, status: int | None, error: BaseException | None, usage: Usage | None
    ) -> Ending:
        """Return the ending of an exchange."""
        return cls(at, status, error, usage, error_type(status, error))

    @property
    def is_failure(self) -> bool:
        """Whether the provider or the mesh failed; a client that disconnects is not a failure."""
        return self.error_type is not None and not _is_abandoned(self.error)

    @property
    def failure_of_provider(self) -> str | None:
        """The error type if the provider failed, not the client or a policy."""
        is_of_provider = self.error is None or isinstance(self.error, UpstreamError)
        return self.error_type if is_of_provider else None

    @property
    def outcome(self) -> str:
        """The outcome of a stream."""
        if self.error is None:
            return "complete"
        if _is_abandoned(self.error):
            return "client_disconnect"
        if isinstance(self.error, ServerShutdown):
            return "server_shutdown"
        is_timeout = isinstance(self.error, AnswerableError) and self.error.status == 504
        return "timeout" if is_timeout else "upstream_aborted"


def error_type(status: int | None, error: BaseException | None) -> str | None:
    """Return the type of the error that an exchange ended with; None after a success."""
    if error is None:
        return None if status is None or status < 400 else str(status)
    if _is_abandoned(error):
        return "client_disconnect"
    return error.code if isinstance(error, AnswerableError) else type(error).__qualname__


def _is_abandoned(error: BaseException | None) -> bool:
    # GeneratorExit: the exchange was closed while it waited, because the client had left.
    return isinstance(error, (ClientDisconnected, GeneratorExit))
