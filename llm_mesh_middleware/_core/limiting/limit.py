"""One limit of a policy, compiled: whom it is about, what it counts, and how much it admits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal, Protocol

import msgspec

from ..values.messages import ClientRequest
from ..values.usage import Usage
from .bucket import Rate
from .estimate import Estimate

__all__ = ["Condition", "Kind", "Limit", "Override", "Part", "Weights"]

Kind = Literal["tokens", "requests", "concurrency"]
_PLAIN = re.compile(r"[A-Za-z0-9._/-]+")
_MARKS = {"tokens": "t", "requests": "r", "concurrency": "c"}
_MAX_AMOUNT = 10**12


class Condition(Protocol):
    """A test of a request, such as a match of a route rule."""

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the request passes."""


class Weights(msgspec.Struct, frozen=True, gc=False):
    """How much a token of each class counts, in thousandths. The classes do not overlap."""

    input: int = 1000
    cache_read: int = 1000
    cache_write: int = 1000
    output: int = 1000
    reasoning: int = 1000

    def used(self, usage: Usage) -> int:
        """Return what a call has used, rounded up."""
        cached = usage.cache_read_tokens + usage.cache_write_tokens
        return -(
            -(
                self.input * max(0, usage.input_tokens - cached)
                + self.cache_read * usage.cache_read_tokens
                + self.cache_write * usage.cache_write_tokens
                + self.output * max(0, usage.output_tokens - usage.reasoning_tokens)
                + self.reasoning * usage.reasoning_tokens
            )
            // 1000
        )

    def of(self, input_tokens: int, output_tokens: int) -> int:
        """Return what so much would use if nothing came from a cache."""
        return -(-(self.input * input_tokens + self.output * output_tokens) // 1000)


class Part(msgspec.Struct, frozen=True):
    """One thing that a limit counts by: `attribute` with its name, or `model`."""

    kind: Literal["attribute", "header", "model", "provider", "host"]
    key: str = ""

    def read(self, request: ClientRequest, provider: str) -> str | None:
        """Return the request's value, None if it has none."""
        match self.kind:
            case "attribute":
                return request.attributes.get(self.key)
            case "header":
                return request.headers.get(self.key)
            case "model":
                return request.model
            case "provider":
                return provider
            case "host":
                return request.host

    def __str__(self) -> str:
        return f"{self.kind}:{self.key}" if self.key else self.kind


@dataclass(frozen=True, slots=True)
class Override:
    """Another amount for requests that match: a rate, or slots."""

    match: Condition
    rate: Rate | None = None
    slots: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """One number of one item of a policy.

    `policy` is namespace and name, `name` the item's. A limit of `concurrency` has `slots`, others
    have a `rate`; `rate_from` is the attribute that overrides the rate's amount. `when` is empty
    for a limit of every request.
    """

    policy: str
    name: str
    kind: Kind
    by: tuple[Part, ...] = ()
    rate: Rate | None = None
    slots: int = 0
    when: tuple[Condition, ...] = ()
    overrides: tuple[Override, ...] = ()
    rate_from: str = ""
    weights: Weights = Weights()
    reserve: Literal["auto", "max", "none"] = "auto"
    on_missing: Literal["share", "deny", "skip"] = "share"
    on_store_failure: Literal["local", "allow", "deny"] = "local"
    is_shadow: bool = False

    @property
    def is_of_attempts(self) -> bool:
        """Whether it is checked for each attempt, since it depends on the provider."""
        return any(part.kind == "provider" for part in self.by)

    def holds(self, request: ClientRequest) -> bool:
        """Return whether the request is under the limit."""
        return not self.when or any(match.holds(request) for match in self.when)

    def values(self, request: ClientRequest, provider: str) -> list[str | None]:
        """Return what the request has of each thing that is counted by."""
        return [part.read(request, provider) for part in self.by]

    def key(self, values: Sequence[str | None]) -> str:
        """Return the key of a bucket or of slots; the values are hashed.

        The braces make a cluster keep what belongs together on one node.
        """
        name = f"{self.policy}/{self.name}"
        if not _PLAIN.fullmatch(name):
            name = blake2b(name.encode(), digest_size=16).hexdigest()
        if values:
            digest = blake2b(digest_size=16)
            for value in values:
                text = b"" if value is None else value.encode("utf-8", "surrogatepass")
                digest.update(b"%d:%s" % (len(text), text))
            name = f"{name}/{digest.hexdigest()}"
        return f"{{{name}}}:{_MARKS[self.kind]}"

    def rate_for(self, request: ClientRequest) -> Rate | None:
        """Return the rate that holds for a request."""
        rate = next((o.rate for o in self.overrides if o.match.holds(request)), self.rate)
        stated = request.attributes.get(self.rate_from) if self.rate_from else None
        if rate is not None and stated is not None and stated.isascii() and stated.isdigit():
            amount = int(stated[:13])
            if 0 < amount <= _MAX_AMOUNT:
                return Rate(amount, rate.period_us, amount)
        return rate

    def slots_for(self, request: ClientRequest) -> int:
        """Return the slots that hold for a request."""
        return next((o.slots for o in self.overrides if o.match.holds(request)), self.slots)

    def need(self, estimate: Estimate) -> int:
        """Return the units to reserve."""
        if self.kind == "requests":
            return 1
        if self.reserve == "none":
            return 0
        output = estimate.max_output if self.reserve == "max" else estimate.output
        return self.weights.of(estimate.input, output)
