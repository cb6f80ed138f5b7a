"""`LLMRoute`, and the models below its spec. Imported when there is a route."""

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from .base import EXTENSION, Host, ListOf, Name, StringMatch, Wire
from .document import DocumentModel
from .inference.reference import InferencePoolRef
from .mirror import Mirror
from .spelling.duration import Duration
from .values import check_header_name, check_host_and_port, check_name, check_route_host
from .wording import fault_at

__all__ = [
    "BackendRef",
    "Balance",
    "LLMRoute",
    "LLMRouteSpec",
    "RetryPolicy",
    "RouteMatch",
    "RouteRule",
    "RuleTimeouts",
    "StickyBy",
]

_MAX_INT32 = 2**31 - 1
# Istio ignores these keys of a headers map, so the condition would silently not be checked.
_NOT_HEADERS = {
    "uri": "`path`",
    "method": "`method`",
    "authority": "the host of the route",
    "scheme": "another condition, as every virtual host is called over plain HTTP",
}


def _check_match_header(name: str) -> str:
    if name.lower() in _NOT_HEADERS:
        raise ValueError(f"is not a header and would be ignored: use {_NOT_HEADERS[name.lower()]}")
    return check_header_name(name)


_HeaderName = Annotated[str, AfterValidator(_check_match_header)]


def _check_retry_code(code: object) -> int | str:
    if isinstance(code, str) and not code[:1].isdigit():
        return check_name(code)
    if isinstance(code, int) and not isinstance(code, bool) and 400 <= code <= 599:
        return code
    raise ValueError(
        "must be a status from 400 to 599, without quotes, or a name such as server_error"
    )


_RetryCode = Annotated[int | str, BeforeValidator(_check_retry_code)]


class RouteMatch(Wire):
    """Conditions that must all hold; an omitted field is not a condition."""

    headers: dict[_HeaderName, StringMatch] = Field(
        default_factory=dict,
        description="Header fields of the request; a field sent twice counts as its values joined"
        " by a comma and a space. Default: none.",
    )
    source_labels: dict[str, str] = Field(
        default_factory=dict, description="Labels the workload must have. Default: none."
    )
    gateways: ListOf[Name] | None = Field(
        default=None, description="Gateways this match is for. Default: those of the route."
    )
    path: StringMatch | None = Field(
        default=None,
        description="Path of the request, without the query. Default: any.",
        json_schema_extra=EXTENSION,
    )
    method: StringMatch | None = Field(
        default=None,
        description="Method of the request. Default: any.",
        json_schema_extra=EXTENSION,
    )
    model: StringMatch | None = Field(
        default=None,
        description="Model named in the body of the request. Default: any.",
        json_schema_extra=EXTENSION,
    )
    attributes: dict[str, StringMatch] = Field(
        default_factory=dict,
        description="Attributes that the application or the client key states about the caller;"
        " never a header of the client. Default: none.",
        json_schema_extra=EXTENSION,
    )


class BackendRef(Wire):
    """One provider of a rule and its share of the requests."""

    provider_host: Host | None = Field(
        default=None,
        description="The spec.host of an LLMProvider; required without backendRef. Default: none.",
    )
    weight: int | None = Field(
        default=None,
        ge=0,
        le=_MAX_INT32,
        description="Share of the requests, relative to its siblings of the same priority."
        " Default: 0 if a sibling has one, otherwise the same for all.",
    )
    backend_ref: InferencePoolRef | None = Field(
        default=None,
        description="Pool of model servers, instead of providerHost. Default: none.",
    )
    host_rewrite: Annotated[str, AfterValidator(check_host_and_port)] | None = Field(
        default=None, description="Host header for the provider. Default: the provider host."
    )
    priority: int = Field(
        default=0,
        ge=0,
        le=_MAX_INT32,
        description="Tier: 0 is used first, the next one if no backend of a lower tier can serve."
        " Default: 0.",
        json_schema_extra=EXTENSION,
    )
    model: Name | None = Field(
        default=None,
        description="Model for requests through this backend; overrides the provider's."
        " Default: the provider's.",
        json_schema_extra=EXTENSION,
    )

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if self.provider_host is None and self.backend_ref is None:
            raise ValueError("needs a providerHost")
        if self.backend_ref is not None and self.provider_host is not None:
            raise ValueError("must not have both providerHost and backendRef; keep one")
        return self


class RuleTimeouts(Wire):
    """Limits for the phases of an upstream call; unset ones are those of the settings."""

    connect: Duration | None = Field(
        default=None, description="Time to get a connection. Default: LLM_MESH_CONNECT_TIMEOUT."
    )
    first_byte: Duration | None = Field(
        default=None,
        description="Time from the request to the first event of a stream."
        " Default: LLM_MESH_FIRST_BYTE_TIMEOUT.",
    )
    idle: Duration | None = Field(
        default=None,
        description="Time between two bytes of the response. Default: LLM_MESH_IDLE_TIMEOUT.",
    )
    request: Duration | None = Field(
        default=None,
        description="Time for the request with all attempts. Default: LLM_MESH_REQUEST_TIMEOUT.",
    )


class RetryPolicy(Wire):
    """When a request is tried again; never after the first byte of its reply."""

    attempts: int | None = Field(
        default=None,
        ge=0,
        le=10,
        description="Attempts after the first; 0 disables retries. Default: 2.",
    )
    codes: ListOf[_RetryCode] | None = Field(
        default=None,
        description="Status codes, and codes or types of a provider's error object such as"
        " context_length_exceeded. Failed connections are always among them."
        " Default: 429, 502, 503, 504, 529.",
    )
    backoff: Duration | None = Field(
        default=None,
        description="Longest pause before a retry at the same backend; doubled with each attempt,"
        " with full jitter. Default: 250ms.",
    )
    max_retry_after: Duration | None = Field(
        default=None,
        description="Longest Retry-After of a provider to wait for. Default: 5s.",
    )
    hedge_after: Duration | None = Field(
        default=None,
        description="Send a request without a stream to a second backend too if there is no"
        " response after this time; both may be billed. Default: never.",
    )


class StickyBy(Wire):
    """What requests must share to be served by the same backend: exactly one of the fields."""

    header: _HeaderName | None = Field(default=None, description="A header. Default: none.")
    attribute: Name | None = Field(
        default=None,
        description="Attribute that the application or the client key states. Default: none.",
    )

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.header is None) == (self.attribute is None):
            raise ValueError("must have exactly one of header and attribute")
        return self


class Balance(Wire):
    """How requests are distributed among the backends of one priority."""

    policy: Literal["weighted", "latency", "leastBusy", "cost", "headroom"] = Field(
        default="weighted",
        description="weighted: by weight alone. The others take the better of two backends that are"
        " drawn by weight, a weight of 0 being never drawn. latency: time to the first byte."
        " leastBusy: calls under way. cost: the cheapest by spec.prices. headroom: what providers"
        " leave of their rate limits, by their x-ratelimit-* headers. Default: weighted.",
    )
    warmup: Duration | None = Field(
        default=None,
        description="How long a backend gets fewer requests after an ejection; not with weighted."
        " Default: 10s.",
    )


class RouteRule(Wire):
    """Where requests go that satisfy any of the matches."""

    name: Name | None = Field(
        default=None,
        description="Name of the rule; the key into routeSpecificConfigs. Default: none.",
    )
    matches: ListOf[RouteMatch] = Field(
        default=(),
        description="Any of these must hold. Default: none, the rule matches everything.",
    )
    backend_refs: Annotated[ListOf[BackendRef], Field(min_length=1)] = Field(
        description="Providers that share the requests; at least one. Required."
    )

    retry: RetryPolicy | None = Field(
        default=None,
        description="When a request is tried again. Default: two more attempts.",
        json_schema_extra=EXTENSION,
    )
    balance: Balance | None = Field(
        default=None,
        description="How requests are distributed among backends. Default: by weight.",
        json_schema_extra=EXTENSION,
    )
    sticky_by: StickyBy | None = Field(
        default=None,
        description="What requests share that go to the same backend. Default: nothing.",
        json_schema_extra=EXTENSION,
    )
    mirrors: ListOf[Mirror] = Field(
        default=(),
        description="Providers that get copies of requests; clients do not notice. Default: none.",
        json_schema_extra=EXTENSION,
    )
    timeouts: RuleTimeouts | None = Field(
        default=None,
        description="How long each phase of a call may take. Default: those of the settings.",
        json_schema_extra=EXTENSION,
    )

    @field_validator("backend_refs")
    @classmethod
    def _some_weight(cls, backends: tuple[BackendRef, ...]) -> tuple[BackendRef, ...]:
        for priority in sorted({backend.priority for backend in backends}):
            weights = [backend.weight for backend in backends if backend.priority == priority]
            if len(weights) > 1 and set(weights) <= {0, None} and 0 in weights:
                raise ValueError(
                    f"no backend of priority {priority} has a weight above 0, so none would be"
                    " used; give one a weight, or leave all weights out for an even split"
                )
        return backends


class LLMRouteSpec(Wire):
    """The rules for one virtual host."""

    host: Annotated[str, AfterValidator(check_route_host)] = Field(
        description="Host that clients call: a DNS name, a short name, `*.suffix` or `*`."
    )
    gateways: ListOf[Name] | None = Field(
        default=None, description="Gateways the route is for. Default: mesh."
    )
    rules: Annotated[ListOf[RouteRule], Field(min_length=1)] = Field(
        description="Rules in order; the first that matches is selected. At least one. Required."
    )

    @field_validator("rules")
    @classmethod
    def _distinct_names(cls, rules: tuple[RouteRule, ...]) -> tuple[RouteRule, ...]:
        seen: dict[str, int] = {}
        for index, rule in enumerate(rules):
            if rule.name is None:
                continue
            if rule.name in seen:
                message = f"is the name of rules[{seen[rule.name]}] too; rule names must differ"
                raise fault_at((index, "name"), message)
            seen[rule.name] = index
        return rules


class LLMRoute(DocumentModel):
    """How requests to one virtual host are distributed to providers."""

    kind: Literal["LLMRoute"] = Field(default="LLMRoute", description="The kind.")
    spec: LLMRouteSpec = Field(description="The route.")
