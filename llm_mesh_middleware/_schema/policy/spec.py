"""The models below `LLMPolicy.spec`."""

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel

from ..base import Count, ListOf, Name, Wire
from ..route import RouteMatch
from ..spelling.duration import Duration
from ..spelling.item_name import ItemName
from ..spelling.quantity import Quantity
from ..wording import fault_at
from .budgets import BudgetItem
from .caches import CacheItem
from .counting import CountedBy, OnMissing, OnStoreFailure, Shadow, TrustHeaders
from .guards import GuardItem
from .parts import AttributeSource, check_headers
from .services import PolicyService

__all__ = ["LLMPolicySpec", "LimitItem", "LimitOverride", "TargetRef", "TokenWeights"]

_Weight = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class TargetRef(Wire):
    """One document that a policy is for, or one rule of it."""

    kind: Literal["LLMRoute", "LLMProvider"] = Field(description="Kind of the document.")
    name: Name = Field(description="Name of the document.")
    section_name: Name | None = Field(
        default=None, description="Name of one rule of an LLMRoute. Default: all of its rules."
    )
    namespace: Name | None = Field(
        default=None, description="Namespace of the document. Default: the policy's."
    )

    @model_validator(mode="after")
    def _rules_are_of_routes(self) -> Self:
        if self.section_name is not None and self.kind != "LLMRoute":
            raise fault_at(("sectionName",), "is the name of a rule, which only an LLMRoute has")
        return self


class TokenWeights(Wire):
    """How much a token of each class counts."""

    input: _Weight | None = Field(
        default=None, description="Input that is in no cache. Default: 1."
    )
    cache_read: _Weight | None = Field(
        default=None, description="Input read from a cache. Default: 1."
    )
    cache_write: _Weight | None = Field(
        default=None, description="Input written to a cache. Default: 1."
    )
    output: _Weight | None = Field(
        default=None, description="Output without reasoning. Default: 1."
    )
    reasoning: _Weight | None = Field(default=None, description="Reasoning. Default: 1.")


class LimitOverride(Wire):
    """Other numbers for requests that match."""

    match: RouteMatch = Field(description="The requests that this is for.")
    tokens: Quantity | None = Field(default=None, description="Tokens. Default: the limit's.")
    requests: Quantity | None = Field(default=None, description="Requests. Default: the limit's.")
    concurrency: Count | None = Field(
        default=None, description="Requests at a time. Default: the limit's."
    )


class LimitItem(Wire):
    """A limit for each value of `by`."""

    name: ItemName = Field(description="Name of the limit, unique in its policy.")
    by: CountedBy = ()
    when: ListOf[RouteMatch] = Field(
        default=(), description="The requests that are counted. Default: all."
    )
    tokens: Quantity | None = Field(
        default=None, description="Tokens in a `per`. Default: no limit."
    )
    requests: Quantity | None = Field(
        default=None, description="Requests in a `per`. Default: no limit."
    )
    per: Duration | None = Field(
        default=None, description="The period of `tokens` and `requests`. Default: 1m."
    )
    burst: Quantity | None = Field(
        default=None,
        description="The most that may be used at once. Default: the amount of one `per`.",
    )
    concurrency: Count | None = Field(
        default=None, description="Requests at a time. Default: no limit."
    )
    tokens_from: AttributeSource | None = Field(
        default=None,
        description="attribute:NAME of a whole number that overrides `tokens`. Default: none.",
    )
    count: Literal["total", "input", "output", "uncached"] | None = Field(
        default=None,
        description="Which tokens count; uncached excludes input read from a cache. Default:"
        " total.",
    )
    weights: TokenWeights | None = Field(
        default=None, description="How much a token of each class counts. Default: 1 each."
    )
    reserve: Literal["auto", "max", "none"] | None = Field(
        default=None,
        description="What to reserve before a call, corrected after it. auto: what earlier calls"
        " used, at most what the request allows; max: what it allows; none: nothing, so that"
        " requests in flight may exceed the limit. Default: auto.",
    )
    overrides: ListOf[LimitOverride] = Field(
        default=(), description="Other numbers; the first that matches applies. Default: none."
    )
    service: PolicyService | None = Field(
        default=None,
        description="A service that counts instead, by the protocol of ASM's token limits."
        " Default: none.",
    )
    on_missing: OnMissing = None
    on_store_failure: OnStoreFailure = None
    trust_headers: TrustHeaders = False
    shadow: Shadow = False

    @model_validator(mode="after")
    def _is_sensible(self) -> Self:
        for field, message in _faults(self):
            raise fault_at((field,) if field else (), message)
        for index, override in enumerate(self.overrides):
            for field in ("tokens", "requests", "concurrency"):
                if getattr(override, field) is not None and getattr(self, field) is None:
                    message = f"overrides nothing: the limit has no {field}"
                    raise fault_at(("overrides", index, field), message)
        check_headers(self.by, are_trusted=self.trust_headers)
        return self


_OF_NUMBERS = ("tokens", "requests", "concurrency", "per", "burst", "overrides", "on_missing")


def _service_faults(item: LimitItem) -> list[tuple[str, str]]:
    faults = [
        (to_camel(name), "must not be set with service, which has numbers of its own")
        for name in _OF_NUMBERS
        if getattr(item, name)
    ]
    if not item.by:
        faults.append(("by", "is needed with service: it makes the key that the service counts by"))
    if "provider" in item.by:
        faults.append(("by", "must not have provider: the service is asked before one is chosen"))
    if item.on_store_failure not in ("allow", "deny"):
        message = "must be allow or deny with service, to say what to do if it fails"
        faults.append(("onStoreFailure", message))
    return faults


def _faults(item: LimitItem) -> list[tuple[str, str]]:
    if item.service is not None and (faults := _service_faults(item)):
        return faults
    has_rate = item.tokens is not None or item.requests is not None
    faults = []
    if not (has_rate or item.concurrency is not None or item.service is not None):
        faults.append(("", "must have at least one of tokens, requests and concurrency"))
    if not has_rate and item.per is not None:
        faults.append(("per", "needs tokens or requests"))
    if not has_rate and item.burst is not None:
        faults.append(("burst", "needs tokens or requests"))
    if item.burst is not None and item.tokens is not None and item.requests is not None:
        faults.append(("burst", "is for either tokens or requests; write two limits"))
    if item.tokens is None:
        faults += [
            (name, "needs tokens")
            for name, value in (
                ("tokensFrom", item.tokens_from),
                ("count", item.count),
                ("weights", item.weights),
                ("reserve", item.reserve),
            )
            if value is not None
        ]
    if item.count is not None and item.weights is not None:
        faults.append(("weights", "must not be set with count"))
    if item.weights is not None and all(weight == 0 for _, weight in item.weights):
        faults.append(("weights", "must not all be 0: nothing would be counted"))
    return faults


_Named = LimitItem | BudgetItem | GuardItem


class LLMPolicySpec(Wire):
    """Limits, budgets, guards and a cache, and the routes and providers that they are for."""

    target_refs: ListOf[TargetRef] = Field(
        default=(),
        description="The documents that the policy is for. Default: every route of its namespace.",
    )
    limits: ListOf[LimitItem] = Field(
        default=(), description="The limits; each must admit a request. Default: none."
    )

    budgets: ListOf[BudgetItem] = Field(
        default=(), description="The budgets in money; each must admit a request. Default: none."
    )

    guards: ListOf[GuardItem] = Field(
        default=(), description="The guards, in order. Default: none."
    )

    cache: CacheItem | None = Field(
        default=None,
        description="The cache; of several policies the most specific one's is used. Default:"
        " none.",
    )

    @field_validator("limits", "budgets", "guards")
    @classmethod
    def _distinct_names(cls, items: tuple[_Named, ...], info: ValidationInfo) -> tuple[_Named, ...]:
        seen: dict[str, int] = {}
        for index, item in enumerate(items):
            if item.name in seen:
                first = f"{info.field_name}[{seen[item.name]}]"
                raise fault_at((index, "name"), f"is the name of {first} too; names must differ")
            seen[item.name] = index
        return items

    @model_validator(mode="after")
    def _has_items(self) -> Self:
        if not (self.limits or self.budgets or self.guards or self.cache):
            raise ValueError("must have limits, budgets, guards or a cache")
        return self
