"""The providers of the live demonstration, and their conditions."""

from __future__ import annotations

import random
from typing import Literal

from ...testing import (
    Answer,
    CertificateAuthority,
    FakeUpstream,
    RecordedRequest,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
    token_usage,
)

__all__ = ["Condition", "DemoProvider"]

Condition = Literal["well", "killed", "slow", "rate-limited"]

_WORDS = [f"{word} " for word in ("The mesh", "calls", "the next", "provider", "that", "is well.")]
_RETRY_AFTER_S = 8
_SLOW_S = 4.0


class DemoProvider:
    """One provider: a server with TLS whose condition can be changed during calls."""

    def __init__(self, host: str, key: str, ca: CertificateAuthority, *, pace_s: float) -> None:
        """`pace_s` is the approximate time to the first token, in seconds."""
        self.host = host
        self.condition: Condition = "well"
        self._pace_s = pace_s
        self._upstream = FakeUpstream(host_names=host, ca=ca, api_key=key)
        self._upstream.always(self._respond)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._upstream.url

    def start(self) -> None:
        """Begin to listen."""
        self._upstream.start()

    def close(self) -> None:
        """Stop listening."""
        self._upstream.close()

    def change(self, condition: Condition) -> None:
        """Set the condition; `killed` refuses connections."""
        if condition == "killed" and self.condition != "killed":
            self._upstream.close()
        if condition != "killed" and self.condition == "killed":
            self._upstream.start()
        self.condition = condition

    def forget(self) -> None:
        """Drop the recorded requests, as the demonstration may run for days."""
        self._upstream.clear()
        self._upstream.always(self._respond)

    def _respond(self, request: RecordedRequest) -> Answer | Stream:
        if self.condition == "rate-limited":
            wait = [("retry-after", str(_RETRY_AFTER_S))]
            return Answer(429, wait, error_body("Too many requests", code="rate_limit_exceeded"))
        delay = _SLOW_S if self.condition == "slow" else self._pace_s * random.uniform(0.6, 1.6)
        asked = request.json()
        model, usage = str(asked.get("model")), token_usage(random.randint(20, 400), len(_WORDS))
        if asked.get("stream"):
            events = chat_stream(_WORDS, model=model, usage=usage, include_usage=True)
            return Stream(events, pause=self._pace_s / 8, delay=delay)
        whole = chat_completion("".join(_WORDS), model=model, usage=usage)
        return Answer(body=whole, delay=delay * 2)
