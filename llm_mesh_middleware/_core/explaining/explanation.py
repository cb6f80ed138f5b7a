"""How one request would be routed, as values: what `Mesh.explain` returns.

Nothing in them is a secret: keys and the like are replaced by `***` before they get here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Literal

from ..flow.retrying import RetryPolicy
from ..values.timeouts import Timeouts
from .text import make_sections, render

__all__ = [
    "BackendExplanation",
    "BodyChange",
    "Explanation",
    "Refusal",
    "RuleExplanation",
    "StickyKey",
]


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """A rule held against the request.

    `reasons` are for one that wins what makes it hold, for one that loses all that keeps it from
    it: a rule loses too if it holds and another stands before it.
    """

    name: str
    outcome: Literal["won", "lost"]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BodyChange:
    """One member of the body that the provider gets differently from how the client sent it.

    `value` is JSON, or `***` for what may be private; None for a member that is removed.
    """

    name: str
    action: Literal["set", "replaced", "removed"]
    value: str | None


@dataclass(frozen=True, slots=True)
class BackendExplanation:
    """A backend of the winning rule, and the call that it would get.

    `share` is its part of the requests that reach its priority, from 0 to 1; `is_sticky_choice`
    says that this very request goes there. `connects_to` is an address that stands in for the
    provider's own.
    """

    provider: str
    host: str
    priority: int
    weight: int
    share: float
    is_sticky_choice: bool
    model: str | None
    method: str
    url: str
    connects_to: str | None
    headers: tuple[tuple[str, str], ...]
    body: tuple[BodyChange, ...]


@dataclass(frozen=True, slots=True)
class StickyKey:
    """What keeps requests with one backend, and this request's value of it, if it has one."""

    field: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer that the client would get from the mesh itself."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a request would be routed, by the configuration alone: as if every provider were well.

    What lies behind the point where a request is refused is empty.
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
    sticky: StickyKey | None = None
    retry: RetryPolicy | None = None
    timeouts: Timeouts | None = None
    refusal: Refusal | None = None

    @property
    def is_served(self) -> bool:
        """Whether the request would be sent to a provider."""
        return self.refusal is None

    def as_dict(self) -> dict[str, object]:
        """Plain dicts, lists, text and numbers, ready for JSON."""
        return {one.name: _plain(getattr(self, one.name)) for one in fields(self)}

    def to_text(self) -> str:
        """Lines for a person, without colours."""
        return render(make_sections(self))


def _plain(value: object) -> object:
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return sorted(value) if isinstance(value, frozenset) else value
