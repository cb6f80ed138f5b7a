"""The model of `LLMPolicy.spec.cache`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from ..base import Count, ListOf, Name, Wire
from ..route import RouteMatch
from ..spelling.duration import Duration, LongDuration
from ..values import check_host, check_name
from ..wording import fault_at
from .services import PolicyService

__all__ = ["CacheEmbedding", "CacheItem", "CacheSemantic"]

_PLAIN_PARTS = ("consumer", "model", "host")


def _check_part(part: str) -> str:
    kind, colon, name = part.partition(":")
    if part in _PLAIN_PARTS:
        return part
    if not colon or kind != "attribute":
        message = "must be consumer, model, host or attribute:NAME"
        raise ValueError(f"{message}: a client could choose anything else")
    check_name(name)
    return part


_Part = Annotated[
    str,
    AfterValidator(_check_part),
    Field(json_schema_extra={"pattern": "^(?:consumer|model|host|attribute:.+)$"}),
]


class CacheEmbedding(Wire):
    """The model that makes vectors of texts."""

    provider_host: Annotated[str, AfterValidator(check_host)] = Field(
        description="Host of the LLMProvider that serves the model."
    )
    model: Name = Field(description="The model. Vectors of different models are never compared.")


class CacheSemantic(Wire):
    """Which requests are similar enough to share a response."""

    embedding: CacheEmbedding = Field(
        description="The model that makes vectors of the last messages. Required."
    )
    threshold: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None, description="The lowest cosine similarity of a hit. Default: 0.95."
    )
    shadow: bool | None = Field(
        default=None,
        description="Whether to call the provider anyway, and only report what would have been a"
        " hit. Default: true.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="How long to wait for a vector; without one a request is a miss."
        " Default: 300ms.",
    )


class CacheItem(Wire):
    """Which responses are cached, for how long, and who shares them."""

    ttl: LongDuration | None = Field(
        default=None, description="How long a response is used. Default: 1h."
    )
    stale_if_error: LongDuration | None = Field(
        default=None,
        description="How long after ttl a response is used if the providers fail. Default: 0s.",
    )
    vary: ListOf[_Part] = Field(
        default=("consumer",),
        description="What requests must have in common to share a response: consumer, model, host,"
        " attribute:NAME. A request without such a value is not cached; with an empty list,"
        " everybody shares. Default: consumer.",
    )
    when: ListOf[RouteMatch] = Field(default=(), description="The requests to cache. Default: all.")
    ignore: ListOf[Annotated[str, Field(min_length=1)]] = Field(
        default=(),
        description="Body fields that do not change the response. Default: none.",
    )
    tool_calls: bool = Field(
        default=False,
        description="Whether to cache responses that call the client's tools. Default: false.",
    )
    max_temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None,
        description="The highest temperature of a cached request; if set, a request without a"
        " temperature is not cached. Default: any.",
    )
    max_entry_bytes: Count | None = Field(
        default=None, description="The largest response to cache. Default: 1048576."
    )
    semantic: CacheSemantic | None = Field(
        default=None,
        description="Also reuse responses for requests with the same meaning in other words."
        " Default: only for equal requests.",
    )
    service: PolicyService | None = Field(
        default=None,
        description="A service that stores the responses, by the protocol of ASM's request cache."
        " Default: none; they are in LLM_MESH_CACHE_STORE.",
    )

    @model_validator(mode="after")
    def _service_finds_by_key(self) -> Self:
        if self.service is not None and self.semantic is not None:
            message = "must not be set with service, which finds entries itself"
            raise fault_at(("semantic",), message)
        return self
