"""The faults of a primary provider, and what client, providers and observer must see of each.

A table without an adapter: whoever can send a request runs it. Where a limit is the matter it is
short, elsewhere so long that a slow machine does not reach it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llm_mesh_middleware.testing import (
    Answer,
    Cut,
    Scripted,
    Stream,
    chat_completion,
    chat_stream,
    error_body,
    token_usage,
)

SHORT_S = 0.3
USAGE = (5, 12)

WORDS = [f"word{number} " for number in range(12)]
EVENTS = chat_stream(WORDS, usage=token_usage(*USAGE), include_usage=True)
WHOLE = chat_completion("".join(WORDS).strip(), usage=token_usage(*USAGE))
# What the sound fallback answers with, so that nobody can take it for the primary's.
FALLBACK_USAGE = (7, 2)
FALLBACK_EVENTS = chat_stream(["from ", "elsewhere"], usage=token_usage(7, 2), include_usage=True)
FALLBACK_WHOLE = chat_completion("from elsewhere", usage=token_usage(*FALLBACK_USAGE))


def refusal(status: int, code: str, **fields: str) -> Answer:
    """An error answer of a provider."""
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return Answer(status, headers, error_body(f"no: {code}", code=code))


DOWN = refusal(503, "overloaded")
TOO_LONG = refusal(400, "context_length_exceeded")
FILTERED = refusal(400, "content_filter")
# A model that continues no answer of its own says so with a status alone.
PREFILLED = refusal(400, "invalid_request_error")


# Answers that the mesh makes itself; every other status is a provider's own word.
OWN_CODES = frozenset(("upstream_connect_error", "upstream_timeout"))


@dataclass(frozen=True)
class Fault:
    """One row: what the providers do first, and what everybody must see.

    Afterwards each provider is sound. `sees` is what the client gets: "primary" or "fallback" for
    that provider's whole answer, "interrupted" for the beginning of the primary's with an error
    event behind it, or a status with the error's `code` and some `headers`. `calls` are the
    attempts in order, by the first letter of the provider, and `answered` is what the observer is
    told of each. `events` are what the primary's stream would have been. `limit_s` is that for a
    first byte and for a silence.
    """

    name: str
    primary: tuple[Scripted, ...]
    sees: str | int
    calls: str
    answered: tuple[str, ...]
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    fallback: tuple[Scripted, ...] = ()
    rule: Mapping[str, object] = field(default_factory=dict)
    forms: tuple[str, ...] = ("whole", "stream")
    events: Sequence[bytes] = field(default_factory=lambda: EVENTS)
    limit_s: float = 10.0

    @property
    def usage(self) -> tuple[int, int] | None:
        """The tokens of the answer that was delivered, if it says."""
        if self.sees == "primary":
            return USAGE if "stream" not in self.forms or self.events is EVENTS else None
        return FALLBACK_USAGE if self.sees == "fallback" else None

    @property
    def is_answered(self) -> bool:
        """Whether the client has a provider's whole answer, be it an error."""
        return self.sees != "interrupted" and self.code not in OWN_CODES


ONCE_MORE = {"retry": {"codes": [500, 503]}}
NAMED = {"retry": {"codes": [429, 503, "context_length_exceeded", "content_filter"]}}

WITHOUT_DONE = chat_stream(WORDS, done=False)
WITHOUT_END = chat_stream(WORDS, done=False, finish_reason=None)

FAULTS = (
    Fault(
        "429 with Retry-After, then fine",
        (refusal(429, "slow_down", retry_after="0.05"),),
        sees="primary",
        calls="pp",
        answered=("answered 429", "answered 200"),
    ),
    Fault(
        "429 for ever",
        (refusal(429, "slow_down", retry_after="0.05"),) * 9,
        sees="fallback",
        calls="ppf",
        answered=("answered 429", "answered 429", "answered 200"),
    ),
    Fault(
        "429 for ever, from both, for long",
        (refusal(429, "slow_down", retry_after="60"),) * 9,
        fallback=(refusal(429, "slower", retry_after="61", x_ratelimit_limit_requests="9"),) * 9,
        sees=429,
        code="slower",
        headers={"retry-after": "61", "x-ratelimit-limit-requests": "9", "x-should-retry": "false"},
        calls="pf",
        answered=("answered 429", "answered 429"),
    ),
    Fault(
        "one 500",
        (refusal(500, "oops"),),
        sees=500,
        code="oops",
        calls="p",
        answered=("answered 500",),
    ),
    Fault(
        "one 500 where the rule retries it",
        (refusal(500, "oops"),),
        rule=ONCE_MORE,
        sees="fallback",
        calls="pf",
        answered=("answered 500", "answered 200"),
    ),
    Fault(
        "503 for ever",
        (DOWN,) * 9,
        sees="fallback",
        calls="pf",
        answered=("answered 503", "answered 200"),
    ),
    Fault(
        "503 for ever, from both",
        (DOWN,) * 9,
        fallback=(refusal(503, "overloaded_too"),) * 9,
        sees=503,
        code="overloaded",
        headers={"x-should-retry": "false"},
        calls="pfp",
        answered=("answered 503",) * 3,
    ),
    Fault(
        "reset instead of an answer",
        (Cut(how="reset"),) * 9,
        sees="fallback",
        calls="pf",
        answered=("answered UpstreamConnectError", "answered 200"),
    ),
    Fault(
        "closed instead of an answer",
        (Cut(how="fin"),) * 9,
        sees="fallback",
        calls="pf",
        answered=("answered UpstreamConnectError", "answered 200"),
    ),
    Fault(
        "accepts and never answers",
        (Cut(how="stall"),),
        limit_s=SHORT_S,
        forms=("stream",),  # a whole response may take as long as the request
        sees="fallback",
        calls="pf",
        answered=("answered UpstreamTimeout", "answered 200"),
    ),
    Fault(
        "the first token comes after the limit",
        (Stream([2 * SHORT_S, *EVENTS]),),
        limit_s=SHORT_S,
        forms=("stream",),
        sees="fallback",
        calls="pf",
        answered=("answered 200", "answered 200"),
    ),
    Fault(
        "cut inside the first event",
        (Stream([EVENTS[0][:40]], end="reset"),),
        forms=("stream",),
        sees="fallback",
        calls="pf",
        answered=("answered 200", "answered 200"),
    ),
    Fault(
        "cut at 40 %",
        (Cut(Stream(EVENTS), at=0.4, how="reset"),),
        forms=("stream",),
        sees="interrupted",
        calls="p",
        answered=("answered 200",),
    ),
    Fault(
        "cut at 60 %",
        (Cut(Stream(EVENTS), at=0.6, how="fin"),),
        forms=("stream",),
        sees="interrupted",
        calls="p",
        answered=("answered 200",),
    ),
    Fault(
        "a whole answer cut at 40 %",
        (Cut(Answer(body=WHOLE), at=0.4, how="reset"),),
        forms=("whole",),
        sees="fallback",
        calls="pf",
        answered=("answered 200", "answered 200"),
    ),
    Fault(
        "a whole answer cut at 60 %",
        (Cut(Answer(body=WHOLE), at=0.6, how="fin"),),
        forms=("whole",),
        sees="fallback",
        calls="pf",
        answered=("answered 200", "answered 200"),
    ),
    Fault(
        "stalls for 30 s in the middle",
        (Stream([*EVENTS[:5], 30.0, *EVENTS[5:]]),),
        limit_s=SHORT_S,
        forms=("stream",),
        sees="interrupted",
        calls="p",
        answered=("answered 200",),
    ),
    Fault(
        "a malformed chunk in the middle",
        (Stream(EVENTS[:5], pause=0.01, end="bad_chunk"),),
        forms=("stream",),
        sees="interrupted",
        calls="p",
        answered=("answered 200",),
    ),
    Fault(
        "an event that is not JSON in the middle",
        (Stream([*EVENTS[:5], 0.02, b"data: {oops\n\n", *EVENTS[5:]]),),
        forms=("stream",),
        sees="interrupted",
        calls="p",
        answered=("answered 200",),
    ),
    Fault(
        "ends without [DONE] and without a finish reason",
        (Stream(WITHOUT_END),),
        events=WITHOUT_END,
        forms=("stream",),
        sees="interrupted",
        calls="p",
        answered=("answered 200",),
    ),
    Fault(
        # Every choice has its finish reason, so nothing is missing; [DONE] is not invented.
        "ends without [DONE]",
        (Stream(WITHOUT_DONE),),
        events=WITHOUT_DONE,
        forms=("stream",),
        sees="primary",
        calls="p",
        answered=("answered 200",),
    ),
    Fault(
        "400 for a context that is too long",
        (TOO_LONG,),
        sees=400,
        code="context_length_exceeded",
        calls="p",
        answered=("answered 400",),
    ),
    Fault(
        "400 for a context that is too long, where the rule names it",
        (TOO_LONG,),
        rule=NAMED,
        sees="fallback",
        calls="pf",
        answered=("answered 400", "answered 200"),
    ),
    Fault(
        "400 of a content filter",
        (FILTERED,),
        sees=400,
        code="content_filter",
        calls="p",
        answered=("answered 400",),
    ),
    Fault(
        "400 of a content filter, where the rule names it",
        (FILTERED,),
        rule=NAMED,
        sees="fallback",
        calls="pf",
        answered=("answered 400", "answered 200"),
    ),
    Fault(
        "400 for an answer that was begun by the client",
        (PREFILLED,),
        sees=400,
        code="invalid_request_error",
        calls="p",
        answered=("answered 400",),
    ),
    Fault(
        "400 for an answer that was begun by the client, where the rule has the status",
        (PREFILLED,),
        rule={"retry": {"codes": [400]}},
        sees="fallback",
        calls="pf",
        answered=("answered 400", "answered 200"),
    ),
    Fault(
        "a fallback that refuses the request",
        (DOWN,),
        fallback=(refusal(400, "unknown_parameter"),),
        sees=400,
        code="unknown_parameter",
        calls="pf",
        answered=("answered 503", "answered 400"),
    ),
    Fault(
        "a fallback that refuses by a name in the rule",
        (TOO_LONG,),
        fallback=(TOO_LONG,),
        rule=NAMED,
        sees=400,
        code="context_length_exceeded",
        calls="pf",
        answered=("answered 400", "answered 400"),
    ),
    Fault(
        "a fallback that does not answer",
        (DOWN,),
        fallback=(Cut(how="reset"),) * 9,
        rule={"retry": {"attempts": 1}},
        sees=503,  # a provider's own answer is not masked by a later failure
        code="overloaded",
        headers={"x-should-retry": "false"},
        calls="pf",
        answered=("answered 503", "answered UpstreamConnectError"),
    ),
    Fault(
        "nobody answers",
        (Cut(how="reset"),) * 9,
        fallback=(Cut(how="fin"),) * 9,
        sees=502,
        code="upstream_connect_error",
        headers={"x-should-retry": "false"},
        calls="pfp",
        answered=("answered UpstreamConnectError",) * 3,
    ),
    Fault(
        "nobody answers in time",
        (Cut(how="stall"),),
        limit_s=SHORT_S,
        forms=("stream",),  # a whole response may take as long as the request
        fallback=(Cut(how="stall"),),
        sees=504,
        code="upstream_timeout",
        headers={"x-should-retry": "false"},
        calls="pf",
        answered=("answered UpstreamTimeout",) * 2,
    ),
)
