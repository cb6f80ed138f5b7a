"""The models below `LLMProvider.spec`."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue, SecretStr, model_validator

from .._core.http.forwarding import HOP_BY_HOP
from .base import EXTENSION, Count, FileName, Host, Name, Wire
from .duration import Duration
from .values import (
    check_base_url,
    check_header_name,
    check_header_text,
    check_name,
    check_path,
    check_secret_key,
    check_secret_name,
    check_variable_name,
)

__all__ = [
    "APIKeySource",
    "LLMProviderSpec",
    "OpenAIConfig",
    "OutlierDetection",
    "ProviderConfig",
    "ProviderConfigs",
    "SecretKeyRef",
    "UpstreamTLS",
    "WorkloadSelector",
]

# What the mesh sets itself; a configured copy would contradict it.
_OWNED_HEADERS = {name.decode() for name in HOP_BY_HOP} | {
    "accept-encoding",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "proxy-authorization",
}
_CLIENT_OWNED = ("messages", "prompt", "input")


def _check_secret(value: SecretStr) -> SecretStr:
    check_name(value.get_secret_value())
    return value


def _check_header_secret(value: SecretStr) -> SecretStr:
    check_header_text(value.get_secret_value())
    return value


def _check_own_header(name: str) -> str:
    check_header_name(name)
    if name == "authorization":
        raise ValueError("may not be set here: use apiKey or apiKeyFrom")
    if name in _OWNED_HEADERS:
        raise ValueError("is a header that the mesh itself sets; remove it")
    return name


def _check_default_key(key: str) -> str:
    if key in _CLIENT_OWNED:
        raise ValueError("belongs to the client's request and can have no default")
    return key


def _check_default_value(value: JsonValue) -> JsonValue:
    if not _is_finite(value):
        raise ValueError("must not hold an infinite number or NaN: JSON has none")
    return value


def _is_finite(value: JsonValue) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, dict) or all(map(_is_finite, value.values()))


_Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
_HeaderValue = Annotated[SecretStr, AfterValidator(_check_header_secret)]
_HeaderName = Annotated[str, AfterValidator(_check_own_header)]
_DefaultKey = Annotated[str, AfterValidator(_check_default_key)]
_DefaultValue = Annotated[JsonValue, AfterValidator(_check_default_value)]


class SecretKeyRef(Wire):
    """One key of a Kubernetes Secret in the document's namespace."""

    name: Annotated[str, AfterValidator(check_secret_name)] = Field(
        description="Name of the Secret."
    )
    key: Annotated[str, AfterValidator(check_secret_key)] = Field(description="Key in its data.")


class APIKeySource(Wire):
    """Where an API key is kept: exactly one of the fields."""

    env: Annotated[str, AfterValidator(check_variable_name)] | None = Field(
        default=None, description="Environment variable that holds the key. Default: none."
    )
    file: FileName | None = Field(
        default=None,
        description="File that holds the key; read again when it changes. Default: none.",
    )
    secret_key_ref: SecretKeyRef | None = Field(
        default=None,
        description="Kubernetes Secret that holds the key, in the document's namespace; for a mesh"
        " that is configured from the cluster. Default: none.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> APIKeySource:
        if sum(source is not None for source in (self.env, self.file, self.secret_key_ref)) != 1:
            raise ValueError("must have exactly one of env, file and secretKeyRef")
        return self


class OpenAIConfig(Wire):
    """What a request to an OpenAI-compatible provider is given. Unset: the request's own passes."""

    model: Name | None = Field(
        default=None, description="Model; replaces the request's. Default: the request's."
    )
    stream: bool | None = Field(
        default=None,
        description="Whether the provider is asked to stream; the client gets the form it asked"
        " for either way. Default: as the client asked.",
    )
    stream_usage: bool | None = Field(
        default=None,
        description="Whether the provider may be asked for token counts in streams"
        " (stream_options.include_usage); false for one that refuses it. Default: true.",
        json_schema_extra=EXTENSION,
    )
    api_key: _Secret | None = Field(
        default=None, description="API key, sent as a Bearer token. Default: no key is sent."
    )
    api_key_from: APIKeySource | None = Field(
        default=None,
        description="Where to read the API key, instead of apiKey. Default: nowhere.",
        json_schema_extra=EXTENSION,
    )
    model_mapping: dict[str, Name] = Field(
        default_factory=dict,
        description="The provider's name for a model that a request names. Default: none.",
        json_schema_extra=EXTENSION,
    )
    defaults: dict[_DefaultKey, _DefaultValue] = Field(
        default_factory=dict,
        description="Body fields that are set where the request has none. Default: none.",
        json_schema_extra=EXTENSION,
    )
    headers: dict[_HeaderName, _HeaderValue] = Field(
        default_factory=dict,
        description="Header fields that every request to the provider carries. Default: none.",
        json_schema_extra=EXTENSION,
    )

    @model_validator(mode="after")
    def _one_key(self) -> OpenAIConfig:
        if self.api_key is not None and self.api_key_from is not None:
            raise ValueError("must not have both apiKey and apiKeyFrom; keep one")
        return self


class ProviderConfig(Wire):
    """The settings of one dialect; there is one dialect."""

    open_ai_config: OpenAIConfig | None = Field(
        default=None, description="Settings of an OpenAI-compatible provider. Default: none."
    )


class ProviderConfigs(Wire):
    """Settings for all requests, and for those that a named rule has routed."""

    default_config: ProviderConfig = Field(
        default=ProviderConfig(),
        description="For every request that no specific configuration is for. Default: empty.",
    )
    route_specific_configs: dict[str, ProviderConfig] = Field(
        default_factory=dict,
        description="Rule name to configuration; what it leaves unset is taken from defaultConfig."
        " Default: none.",
    )


class WorkloadSelector(Wire):
    """Which workloads see a provider."""

    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Labels the workload must all have. Default: none, every workload.",
    )


class UpstreamTLS(Wire):
    """TLS towards the provider."""

    ca_file: FileName | None = Field(
        default=None,
        description="PEM bundle to trust for this provider. Default: what the mesh trusts.",
    )
    server_name: Host | None = Field(
        default=None, description="Name in SNI and in the certificate. Default: the provider host."
    )
    client_cert_file: FileName | None = Field(
        default=None, description="PEM client certificate, perhaps with its key. Default: none."
    )
    client_key_file: FileName | None = Field(
        default=None, description="PEM key of clientCertFile. Default: the key in clientCertFile."
    )

    @model_validator(mode="after")
    def _key_with_certificate(self) -> UpstreamTLS:
        if self.client_key_file is not None and self.client_cert_file is None:
            raise ValueError("has a clientKeyFile but no clientCertFile")
        return self


class OutlierDetection(Wire):
    """When a provider is taken out of service, and how it comes back."""

    consecutive_failures: int | None = Field(
        default=None,
        ge=0,
        le=2**31 - 1,
        description="Failures in a row (no connection, timeout, broken response, 5xx) of at least"
        " two different requests that eject the provider; 429 responses are counted separately."
        " 0 switches ejection off. Default: 5.",
    )
    interval: Duration | None = Field(
        default=None,
        description="Failures further apart than this are not in a row. Default: 30s.",
    )
    base_ejection_time: Duration | None = Field(
        default=None,
        description="How long the first ejection lasts; each that follows closely lasts twice as"
        " long. Default: 5s.",
    )
    max_ejection_time: Duration | None = Field(
        default=None, description="The longest ejection. Default: 300s."
    )
    half_open_requests: Count | None = Field(
        default=None,
        description="Requests that may probe the provider after an ejection; when all of them"
        " succeed it is back. Default: 1.",
    )


class LLMProviderSpec(Wire):
    """One provider: its name towards clients and routes, its address, its settings."""

    host: Host = Field(
        description="DNS name or IP address of the provider: what clients call, what routes refer"
        " to, and what is connected to over HTTPS unless endpoint says otherwise."
    )
    path: Annotated[str, AfterValidator(check_path)] = Field(
        default="/v1/chat/completions",
        description="Request path for chat completions. Default: /v1/chat/completions.",
    )
    workload_selector: WorkloadSelector | None = Field(
        default=None, description="Workloads that see the provider. Default: all of them."
    )
    configs: ProviderConfigs = Field(
        default=ProviderConfigs(),
        description="Model, key and the rest that requests are given. Default: nothing.",
    )
    endpoint: Annotated[str, AfterValidator(check_base_url)] | None = Field(
        default=None,
        description="Base URL to connect to: http:// or https://, host, port. Host header, TLS"
        " name and path stay the provider's. Default: https:// and the host.",
        json_schema_extra=EXTENSION,
    )
    outlier_detection: OutlierDetection | None = Field(
        default=None,
        description="When the provider is taken out of service. Default: after 5 failures.",
        json_schema_extra=EXTENSION,
    )
    max_concurrency: Count | None = Field(
        default=None,
        description="Calls under way at once, from this process; more wait as long as a connection"
        " may take, then go to another backend. Default: no limit.",
        json_schema_extra=EXTENSION,
    )
    tls: UpstreamTLS | None = Field(
        default=None,
        description="TLS towards the provider. Default: the mesh's trust, the provider's name.",
        json_schema_extra=EXTENSION,
    )
