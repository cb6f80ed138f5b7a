"""The values of an explanation.

They contain no secrets: keys and the like are replaced by `***` first.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..routing.retry_policy import RetryPolicy
from ..routing.timeouts import Timeouts

__all__ = [
    "BackendExplanation",
    "BodyChange",
    "Findings",
    "PolicyExplanation",
    "Refusal",
    "RuleExplanation",
    "StickyKey",
]


class RuleExplanation(msgspec.Struct, frozen=True):
    """A rule, and whether it is selected for the request.

    The `reasons` of a selected rule are the conditions that hold, those of a skipped rule all
    conditions that do not, or the earlier rule that matches, too.
    """

    name: str
    outcome: Literal["selected", "skipped"]
    reasons: tuple[str, ...]


class BodyChange(msgspec.Struct, frozen=True):
    """A member of the body that is changed on its way to the provider.

    `value` is JSON, or `***` if it may be private; None for a member that is removed.
    """

    name: str
    action: Literal["set", "replaced", "removed"]
    value: str | None


class BackendExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """A backend of the selected rule, and the call that it would get.

    Attributes:
        share: its share of the requests that reach its priority, from 0 to 1.
        score: the score in `balance`, lower is better; None if backends are picked by weight.
        is_sticky_choice: whether the sticky key selects it for this request.
        connects_to: the address that overrides the provider's own.
        client_dialect: the dialect of the client.
        dialect: the dialect of the request to the provider.
        dropped: the client's names of fields that the provider's dialect does not have.
        refusal: why the provider's dialect cannot express the request; it is not called then.
    """

    provider: str
    host: str
    priority: int
    weight: int
    share: float
    score: float | None
    is_sticky_choice: bool
    model: str | None
    method: str
    url: str = ""
    connects_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: tuple[BodyChange, ...] = ()
    client_dialect: str
    dialect: str = ""
    dropped: tuple[str, ...] = ()
    refusal: str | None = None
    servers: tuple[ServerExplanation, ...] = ()


class ServerExplanation(msgspec.Struct, frozen=True):
    """One server of a pool: its load, and its score, of which lower is better.

    Unknown values are None: no request has used the server lately, or its metrics are unusable.
    """

    address: str
    is_available: bool
    waiting: int | None = None
    running: int | None = None
    cache_used: float | None = None
    score: float | None = None
    fault: str | None = None


class MirrorExplanation(msgspec.Struct, frozen=True):
    """A provider that gets copies of some requests.

    `obstacle` says why this request is never copied to it.
    """

    provider: str
    host: str
    model: str | None
    percent: float
    obstacle: str | None = None


class StickyKey(msgspec.Struct, frozen=True):
    """The field that keeps requests at one backend, and its value in this request, if any."""

    field: str
    value: str | None


class PolicyExplanation(msgspec.Struct, frozen=True):
    """An item of a policy, and what it would do with the request, or why it does nothing.

    `provider` is the provider of the attempts that it applies to; empty for the whole call.
    """

    policy: str
    item: str
    kind: str
    holds: bool
    text: str
    provider: str


class Refusal(msgspec.Struct, frozen=True):
    """The mesh's own error reply."""

    status: int
    code: str
    message: str


class Findings(msgspec.Struct, frozen=True):
    """How a request would be routed if every provider were healthy.

    Fields beyond the point where a request is refused are empty. `models` is the reply to `GET
    /models`.
    """

    method: str
    host: str
    path: str
    virtual_host: str | None = None
    operation: str | None = None
    route: str | None = None
    rule: str | None = None
    rules: tuple[RuleExplanation, ...] = ()
    backends: tuple[BackendExplanation, ...] = ()
    policies: tuple[PolicyExplanation, ...] = ()
    mirrors: tuple[MirrorExplanation, ...] = ()
    sticky: StickyKey | None = None
    retry: RetryPolicy | None = None
    timeouts: Timeouts | None = None
    models: tuple[str, ...] = ()
    refusal: Refusal | None = None
