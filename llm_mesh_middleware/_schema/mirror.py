"""The model of `LLMRoute.spec.rules[].mirrors[]`."""

from typing import Annotated

from pydantic import Field

from .base import Count, Host, Name, Wire
from .spelling.duration import Duration

__all__ = ["Mirror"]


class Mirror(Wire):
    """A provider that gets copies of requests; its responses are discarded."""

    provider_host: Host = Field(description="The spec.host of an LLMProvider. Required.")
    model: Name | None = Field(
        default=None,
        description="Model for the copies; overrides the provider's. Default: the provider's.",
    )
    percent: Annotated[float, Field(gt=0, le=100)] | None = Field(
        default=None,
        description="Share of the rule's requests to copy, in per cent; chosen by the request's id"
        " (x-request-id, or the trace id) if it has one. Default: 100.",
    )
    max_concurrency: Count | None = Field(
        default=None,
        description="Copies at a time, from this process; more are skipped, not queued. Default:"
        " 4.",
    )
    max_body_bytes: Count | None = Field(
        default=None,
        description="Requests with a longer body are not copied. Default: 1048576.",
    )
    timeout: Duration | None = Field(
        default=None, description="How long a copy may take. Default: 60s."
    )
    compare_content: bool | None = Field(
        default=None,
        description="Whether to compare digests of both contents; the response is then buffered."
        " Default: false.",
    )
