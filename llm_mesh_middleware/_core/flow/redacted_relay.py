"""A relay whose client and whose observers see no key that the provider repeats."""

from __future__ import annotations

from ...exceptions import UpstreamError
from ..dialect import BodyRelay, WholeAnswer
from ..provider.secrets import Secrets
from ..values.summary import AnswerSummary

__all__ = ["RedactedRelay"]


class RedactedRelay:
    """Passes on what `relay` makes, which is whole events: none is cut within a key."""

    __slots__ = ("_redact", "_relay", "_secrets")

    def __init__(self, relay: BodyRelay, secrets: Secrets) -> None:
        self._relay = relay
        self._secrets = secrets
        self._redact = secrets.redact_content

    @property
    def error(self) -> Exception | None:
        """Why the client's body is not complete, if it is not."""
        error = self._relay.error
        if isinstance(error, UpstreamError):
            self._secrets.redact_error(error)
        return error

    @property
    def is_done(self) -> bool:
        """Whether the stream has come to its own end."""
        return self._relay.is_done

    @property
    def events(self) -> int:
        """How many events were seen so far."""
        return self._relay.events

    @property
    def summary(self) -> AnswerSummary:
        """What was seen of the answer so far."""
        return self._secrets.redact_summary(self._relay.summary)

    @property
    def has_event(self) -> bool:
        """Whether what was passed on holds an event."""
        return self._relay.has_event

    @property
    def refusal(self) -> WholeAnswer | None:
        """The response as a whole one, if an error is all that its stream has told so far."""
        return self._relay.refusal

    def feed(self, data: bytes, /) -> bytes:
        """Take upstream bytes, return what the client gets now."""
        return self._redact(self._relay.feed(data))

    def finish(self) -> bytes:
        """Return what the client still gets of a body that ended."""
        return self._redact(self._relay.finish())

    def abort(self, error: Exception) -> bytes:
        """Return what the client still gets of a body that broke off."""
        return self._redact(self._relay.abort(error))
