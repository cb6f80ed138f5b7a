"""The settings of each dialect, of which a `ProviderConfig` has one."""

import math
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, SecretStr, model_validator

from .._core.http.forwarding import HOP_BY_HOP
from .base import EXTENSION, Count, ListOf, Name, Wire
from .keys import (
    AmbientCredentials,
    APIKeySource,
    AWSCredentials,
    EntraConfig,
    GoogleCredentials,
    SecretText,
)
from .values import check_header_name, check_header_text

__all__ = [
    "AnthropicConfig",
    "AzureOpenAIConfig",
    "BedrockConfig",
    "DialectConfig",
    "GeminiConfig",
    "OllamaConfig",
    "OpenAIConfig",
    "ThinkingConfig",
    "VertexConfig",
    "bedrock_credentials",
]

# The mesh sets these itself; a configured value would contradict it.
_OWNED_HEADERS = {name.decode() for name in HOP_BY_HOP} | {
    "accept-encoding",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "proxy-authorization",
}
_CLIENT_OWNED = ("contents", "messages", "prompt", "input")


def _check_header_secret(value: SecretStr) -> SecretStr:
    check_header_text(value.get_secret_value())
    return value


def _check_own_header(name: str) -> str:
    check_header_name(name)
    if name == "authorization":
        raise ValueError("must not be set here; use apiKey or apiKeyFrom")
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


_HeaderValue = Annotated[SecretStr, AfterValidator(_check_header_secret)]
_HeaderName = Annotated[str, AfterValidator(_check_own_header)]
_DefaultKey = Annotated[str, AfterValidator(_check_default_key)]
_DefaultValue = Annotated[JsonValue, AfterValidator(_check_default_value)]


_Api = Literal["chat", "completions", "embeddings", "responses", "messages"]
_Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class DialectConfig(Wire):
    """Settings of requests to a provider, in any dialect."""

    model: Name | None = Field(
        default=None, description="Model; replaces the request's. Default: the request's."
    )
    stream: bool | None = Field(
        default=None,
        description="Whether the provider is asked to stream; the client gets the form it asked"
        " for either way. Default: as the client asked.",
    )
    api_key: SecretText | None = Field(
        default=None, description="API key. Default: no key is sent."
    )
    api_key_from: APIKeySource | None = Field(
        default=None,
        description="Where to read the API key, instead of apiKey. Default: none.",
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
    unsupported_fields: Literal["drop", "reject"] | None = Field(
        default=None,
        description="What to do with client fields that the provider's dialect lacks, if omitting"
        " them does not change the meaning. drop: omit them and name them in x-llm-mesh-dropped;"
        " reject: refuse the request. Default: drop.",
        json_schema_extra=EXTENSION,
    )
    pass_fields: ListOf[_DefaultKey] | None = Field(
        default=None,
        description="Fields of clients of other dialects that the provider accepts although its"
        " dialect lacks them; they are sent unchanged. Default: none.",
        json_schema_extra=EXTENSION,
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key is not None and self.api_key_from is not None:
            raise ValueError("must not have both apiKey and apiKeyFrom; keep one")
        return self


class ThinkingConfig(DialectConfig):
    """Settings of a provider that can think, with an effort or a number of tokens."""

    thinking: Literal["auto", "adaptive", "budget", "off"] | None = Field(
        default=None,
        description="How a request of another dialect that asks for thinking asks the provider:"
        " with an effort (adaptive), with a number of tokens (budget), not at all (off), or in"
        " its own way (auto). Default: auto.",
        json_schema_extra=EXTENSION,
    )
    reasoning: dict[_Effort, Count] = Field(
        default_factory=dict,
        description="Tokens for each effort. Default: built-in numbers.",
        json_schema_extra=EXTENSION,
    )


class OpenAIConfig(DialectConfig):
    """Settings of requests to an OpenAI-compatible provider. Unset: the request's own value."""

    api_key: SecretText | None = Field(
        default=None, description="API key, sent as a Bearer token. Default: no key is sent."
    )
    stream_usage: bool | None = Field(
        default=None,
        description="Whether the provider may be asked for token counts in streams"
        " (stream_options.include_usage); false for one that refuses it. Default: true.",
        json_schema_extra=EXTENSION,
    )
    apis: ListOf[_Api] | None = Field(
        default=None,
        min_length=1,
        description="APIs that the provider serves itself; requests of other APIs are translated to"
        " the first of these that can carry them. Default: all but messages.",
        json_schema_extra=EXTENSION,
    )
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        default=None,
        description="Field for the token limit of a translated request. Default:"
        " max_completion_tokens for api.openai.com, else max_tokens.",
        json_schema_extra=EXTENSION,
    )
    send_reasoning: bool | None = Field(
        default=None,
        description="Whether a translated request sends the reasoning of earlier turns back, as"
        " reasoning_content. Default: false.",
        json_schema_extra=EXTENSION,
    )


class VertexConfig(Wire):
    """A project on Google's Vertex AI, and the credentials for it."""

    project: Name = Field(description="Project ID.")
    location: Name = Field(description="Location, such as us-central1 or global.")
    publisher: Name | None = Field(
        default=None, description="Publisher of the model. Default: the dialect's own."
    )
    access_token: SecretText | None = Field(
        default=None, description="OAuth access token. Default: none."
    )
    access_token_from: APIKeySource | None = Field(
        default=None,
        description="Where to read an access token that something else renews. Default: none.",
    )
    credentials_from: GoogleCredentials | None = Field(
        default=None, description="Credentials to get access tokens with. Default: none."
    )

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        names = ("access_token", "access_token_from", "credentials_from")
        if sum(getattr(self, name) is not None for name in names) > 1:
            raise ValueError(
                "must have only one of accessToken, accessTokenFrom and credentialsFrom"
            )
        return self


class AnthropicConfig(ThinkingConfig):
    """Settings of requests to a provider of Anthropic's Messages API."""

    max_tokens: Count | None = Field(
        default=None,
        description="Token limit of translated requests that set none. Default: 4096.",
    )
    version: Name | None = Field(
        default=None,
        description="Version of the API (anthropic-version). Default: the client's, or 2023-06-01.",
    )
    betas: ListOf[Name] | None = Field(
        default=None,
        description="Values of anthropic-beta that clients may send; * allows all. Default: all.",
    )
    vertex: VertexConfig | None = Field(
        default=None, description="Call the model on Vertex AI. Default: Anthropic's own API."
    )
    entra: EntraConfig | None = Field(
        default=None,
        description="Credentials of Microsoft Entra for Azure (Microsoft Foundry), instead of an"
        " API key. Default: none.",
    )

    @model_validator(mode="after")
    def _one_admission(self) -> Self:
        if self.entra is not None and (self.api_key or self.api_key_from or self.vertex):
            raise ValueError("must not have both entra and an API key or vertex; keep one")
        return self


class GeminiConfig(ThinkingConfig):
    """Settings of requests to a provider of Gemini models."""

    vertex: VertexConfig | None = Field(
        default=None, description="Call the model on Vertex AI. Default: the Gemini API."
    )


class BedrockConfig(ThinkingConfig):
    """Settings of requests to an Amazon Bedrock runtime."""

    region: Name | None = Field(
        default=None, description="Region, such as us-east-1; here or in defaultConfig. Required."
    )
    api: Literal["converse", "invoke"] | None = Field(
        default=None,
        description="API to call; invoke is for Claude models and passes requests in Anthropic's"
        " dialect without loss. Default: converse.",
    )
    max_tokens: Count | None = Field(
        default=None,
        description="Token limit of translated requests that set none. Default: 4096.",
    )
    betas: ListOf[Name] | None = Field(
        default=None,
        description="Values of anthropic-beta that clients may send (api: invoke); * allows all."
        " Default: none, as Bedrock refuses unknown ones.",
    )
    credentials: AWSCredentials | None = Field(
        default=None, description="Access key to sign requests with. Default: none."
    )
    credentials_from: AmbientCredentials | None = Field(
        default=None, description="Credentials of the environment to sign with. Default: none."
    )

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        if len(bedrock_credentials(self)) > 1:
            raise ValueError(
                "must have only one of apiKey, apiKeyFrom, credentials and credentialsFrom"
            )
        return self


def bedrock_credentials(config: BedrockConfig) -> list[str]:
    """Return the names of the credentials that are set."""
    names = ("api_key", "api_key_from", "credentials", "credentials_from")
    return [name for name in names if getattr(config, name) is not None]


class OllamaConfig(DialectConfig):
    """Settings of requests to an Ollama server, in its own API."""

    options: dict[_DefaultKey, _DefaultValue] = Field(
        default_factory=dict,
        description="Options of the model where a request has none, such as num_ctx, the length of"
        " its context. Default: none; the server's context may be as short as 4096 tokens.",
    )
    thinking: Literal["auto", "adaptive", "off"] | None = Field(
        default=None,
        description="How the model is asked to think when a request asks for it: at all (auto), or"
        " how much (adaptive), which gpt-oss and a few others know; off leaves it out. Default:"
        " auto.",
    )


class AzureOpenAIConfig(DialectConfig):
    """Settings of requests to an Azure OpenAI resource."""

    deployment: Name | None = Field(
        default=None,
        description="Deployment to call; replaces the request's model. Default: the model.",
    )
    api_version: Name | None = Field(
        default=None,
        description="Version of the API with deployments in its path, such as 2024-10-21. Default:"
        " the v1 API, which needs none.",
    )
    entra: EntraConfig | None = Field(
        default=None,
        description="Credentials of Microsoft Entra, instead of an API key. Default: none.",
    )

    @model_validator(mode="after")
    def _one_admission(self) -> Self:
        if self.entra is not None and (self.api_key or self.api_key_from):
            raise ValueError("must not have both entra and an API key; keep one")
        return self
