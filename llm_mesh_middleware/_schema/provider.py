"""The models below `LLMProvider.spec`."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from .active_check import ActiveCheck
from .base import EXTENSION, Count, FileName, Host, ListOf, Wire
from .dialects import (
    AnthropicConfig,
    AzureOpenAIConfig,
    BedrockConfig,
    GeminiConfig,
    OllamaConfig,
    OpenAIConfig,
)
from .price import ModelPrices
from .spelling.duration import Duration
from .values import check_base_url, check_path
from .wording import fault_at

__all__ = [
    "LLMProviderSpec",
    "OutlierDetection",
    "ProviderConfig",
    "ProviderConfigs",
    "UpstreamTLS",
    "WorkloadSelector",
]


class ProviderConfig(Wire):
    """The settings of the one dialect that the provider speaks."""

    open_ai_config: OpenAIConfig | None = Field(
        default=None, description="Settings of an OpenAI-compatible provider. Default: none."
    )
    anthropic_config: AnthropicConfig | None = Field(
        default=None,
        description="Settings of a provider of Anthropic's Messages API. Default: none.",
        json_schema_extra=EXTENSION,
    )
    gemini_config: GeminiConfig | None = Field(
        default=None,
        description="Settings of a provider of Gemini models. Default: none.",
        json_schema_extra=EXTENSION,
    )
    bedrock_config: BedrockConfig | None = Field(
        default=None,
        description="Settings of an Amazon Bedrock runtime. Default: none.",
        json_schema_extra=EXTENSION,
    )
    azure_open_ai_config: AzureOpenAIConfig | None = Field(
        default=None,
        description="Settings of an Azure OpenAI resource. Default: none.",
        json_schema_extra=EXTENSION,
    )
    ollama_config: OllamaConfig | None = Field(
        default=None,
        description="Settings of an Ollama server, called by the API of its own. Default: none.",
        json_schema_extra=EXTENSION,
    )

    @model_validator(mode="after")
    def _one_dialect(self) -> Self:
        given = [
            field.alias or name
            for name, field in type(self).model_fields.items()
            if getattr(self, name) is not None
        ]
        if len(given) > 1:
            raise fault_at(
                (given[1],),
                f"must not be set with {given[0]}; a provider speaks one dialect",
            )
        return self


class ProviderConfigs(Wire):
    """Settings for all requests, and for those that a named rule has routed."""

    default_config: ProviderConfig = Field(
        default_factory=ProviderConfig,
        description="For every request without a route-specific configuration. Default: empty.",
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
    """TLS to the provider."""

    ca_file: FileName | None = Field(
        default=None,
        description="PEM bundle to trust for this provider. Default: the mesh's trust store.",
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
    def _key_with_certificate(self) -> Self:
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
    """One provider: its name for clients and routes, its address, its settings."""

    host: Host = Field(
        description="DNS name or IP address of the provider: what clients call, what routes refer"
        " to, and what is connected to over HTTPS unless endpoint says otherwise."
    )
    path: Annotated[str, AfterValidator(check_path)] = Field(
        default="/v1/chat/completions",
        description="Request path for chat completions; with another dialect than OpenAI's the path"
        " of messages, or the base path of models. Default: that of the dialect, such as"
        " /v1/chat/completions.",
    )
    workload_selector: WorkloadSelector | None = Field(
        default=None, description="Workloads that see the provider. Default: all of them."
    )
    configs: ProviderConfigs = Field(
        default_factory=ProviderConfigs,
        description="Model, key and other settings of its requests. Default: none.",
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
    active_check: ActiveCheck | None = Field(
        default=None,
        description="Health checks of the provider's server; for servers of your own. Default:"
        " none.",
        json_schema_extra=EXTENSION,
    )
    max_concurrency: Count | None = Field(
        default=None,
        description="Calls at a time, from this process; more wait for the connect timeout, then"
        " go to another backend. Default: no limit.",
        json_schema_extra=EXTENSION,
    )
    prices: ListOf[ModelPrices] = Field(
        default=(),
        description="Prices of the models; the first entry that matches is used. Default: those of"
        " LLM_MESH_PRICES.",
        json_schema_extra=EXTENSION,
    )
    tls: UpstreamTLS | None = Field(
        default=None,
        description="TLS to the provider. Default: the mesh's trust store, the provider's name.",
        json_schema_extra=EXTENSION,
    )
