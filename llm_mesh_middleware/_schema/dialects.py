"""The settings of each dialect: siblings below a `ProviderConfig`, of which one is set."""

from __future__ import annotations

import math
from typing import Annotated, Literal

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
    "OpenAIConfig",
    "ThinkingConfig",
    "VertexConfig",
    "bedrock_credentials",
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
_CLIENT_OWNED = ("contents", "messages", "prompt", "input")


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


_HeaderValue = Annotated[SecretStr, AfterValidator(_check_header_secret)]
_HeaderName = Annotated[str, AfterValidator(_check_own_header)]
_DefaultKey = Annotated[str, AfterValidator(_check_default_key)]
_DefaultValue = Annotated[JsonValue, AfterValidator(_check_default_value)]


_Api = Literal["chat", "completions", "embeddings", "responses", "messages"]
_Effort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class DialectConfig(Wire):
    """What a request to a provider of any dialect is given."""

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
    unsupported_fields: Literal["drop", "reject"] | None = Field(
        default=None,
        description="What becomes of a client's fields that the provider's dialect lacks, where"
        " leaving them out does not change the meaning: drop names them in x-llm-mesh-dropped,"
        " reject refuses the request. Default: drop.",
        json_schema_extra=EXTENSION,
    )
    pass_fields: ListOf[_DefaultKey] | None = Field(
        default=None,
        description="Fields of clients of other dialects that the provider takes though its dialect"
        " lacks them; they are sent as they are. Default: none.",
        json_schema_extra=EXTENSION,
    )

    @model_validator(mode="after")
    def _one_key(self) -> DialectConfig:
        if self.api_key is not None and self.api_key_from is not None:
            raise ValueError("must not have both apiKey and apiKeyFrom; keep one")
        return self


class ThinkingConfig(DialectConfig):
    """What providers that think by a number of tokens are given."""

    thinking: Literal["auto", "adaptive", "budget", "off"] | None = Field(
        default=None,
        description="How the provider is asked to think when a request of another dialect asks for"
        " it: with an effort (adaptive), with a number of tokens (budget), not at all (off), or as"
        " the request has it (auto). Default: auto.",
        json_schema_extra=EXTENSION,
    )
    reasoning: dict[_Effort, Count] = Field(
        default_factory=dict,
        description="Tokens for each effort. Default: built-in numbers.",
        json_schema_extra=EXTENSION,
    )


class OpenAIConfig(DialectConfig):
    """What a request to an OpenAI-compatible provider is given. Unset: the request's own passes."""

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
        description="APIs that the provider serves itself; requests of others are translated to"
        " the first of them that can carry them. Default: all but messages.",
        json_schema_extra=EXTENSION,
    )
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = Field(
        default=None,
        description="What the provider calls the limit of a translated request. Default:"
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
    """A project on Google's Vertex AI, and how to be admitted to it."""

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
        description="Where to read an access token that something else renews. Default: nowhere.",
    )
    credentials_from: GoogleCredentials | None = Field(
        default=None, description="Credentials to get access tokens with. Default: none."
    )

    @model_validator(mode="after")
    def _one_token(self) -> VertexConfig:
        names = ("access_token", "access_token_from", "credentials_from")
        if sum(getattr(self, name) is not None for name in names) > 1:
            raise ValueError(
                "must have only one of accessToken, accessTokenFrom and credentialsFrom"
            )
        return self


class AnthropicConfig(ThinkingConfig):
    """What a request to a provider of Anthropic's Messages API is given."""

    max_tokens: Count | None = Field(
        default=None,
        description="Limit of translated requests that name none. Default: 4096.",
    )
    version: Name | None = Field(
        default=None,
        description="Version of the API (anthropic-version). Default: the client's, or 2023-06-01.",
    )
    betas: ListOf[Name] | None = Field(
        default=None,
        description="Names of anthropic-beta that may pass from clients; an item of * is all of"
        " them. Default: all.",
    )
    vertex: VertexConfig | None = Field(
        default=None, description="Call the model on Vertex AI. Default: Anthropic's own API."
    )
    entra: EntraConfig | None = Field(
        default=None,
        description="Admission to Azure (Microsoft Foundry) by Microsoft Entra, instead of an API"
        " key. Default: none.",
    )

    @model_validator(mode="after")
    def _one_admission(self) -> AnthropicConfig:
        if self.entra is not None and (self.api_key or self.api_key_from or self.vertex):
            raise ValueError("must not have both entra and an API key or vertex; keep one")
        return self


class GeminiConfig(ThinkingConfig):
    """What a request to a provider of Gemini models is given."""

    vertex: VertexConfig | None = Field(
        default=None, description="Call the model on Vertex AI. Default: the Gemini API."
    )


class BedrockConfig(ThinkingConfig):
    """What a request to an Amazon Bedrock runtime is given."""

    region: Name | None = Field(
        default=None, description="Region, such as us-east-1. Default: none; there must be one."
    )
    api: Literal["converse", "invoke"] | None = Field(
        default=None,
        description="API to call; invoke is for Claude models and loses nothing of requests in"
        " Anthropic's dialect. Default: converse.",
    )
    max_tokens: Count | None = Field(
        default=None,
        description="Limit of translated requests that name none. Default: 4096.",
    )
    betas: ListOf[Name] | None = Field(
        default=None,
        description="Names of anthropic-beta that may pass from clients (api: invoke); an item of *"
        " is all of them. Default: none, as Bedrock refuses what it does not know.",
    )
    credentials: AWSCredentials | None = Field(
        default=None, description="Access key to sign requests with. Default: none."
    )
    credentials_from: AmbientCredentials | None = Field(
        default=None, description="Credentials of the environment to sign with. Default: none."
    )

    @model_validator(mode="after")
    def _one_credential(self) -> BedrockConfig:
        if len(bedrock_credentials(self)) > 1:
            raise ValueError(
                "must have only one of apiKey, apiKeyFrom, credentials and credentialsFrom"
            )
        return self


def bedrock_credentials(config: BedrockConfig) -> list[str]:
    """Return the names of the credentials that are set."""
    names = ("api_key", "api_key_from", "credentials", "credentials_from")
    return [name for name in names if getattr(config, name) is not None]


class AzureOpenAIConfig(DialectConfig):
    """What a request to an Azure OpenAI resource is given."""

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
        description="Admission by Microsoft Entra, instead of an API key. Default: none.",
    )

    @model_validator(mode="after")
    def _one_admission(self) -> AzureOpenAIConfig:
        if self.entra is not None and (self.api_key or self.api_key_from):
            raise ValueError("must not have both entra and an API key; keep one")
        return self
