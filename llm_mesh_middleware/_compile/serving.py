"""The calls of a provider, by its dialect: request targets, envelope, the field of the key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from .._core.conversation.sides import ProviderSide
from .._core.conversation.writing import DialectOptions
from .._core.dialect import ServedOperation
from .._core.provider.upstream import Conversion
from .._dialects import anthropic, gemini, openai_responses
from .._dialects.anthropic import COUNT_TOKENS, MESSAGES, VERTEX_VERSION
from .._dialects.model_lists import MODELS
from .._dialects.openai_chat import CHAT
from .._dialects.openai_responses import RESPONSES
from .._dialects.pairs import Counter, count, own_targets, translate
from .._dialects.registry import OPERATIONS, foreign_api
from .._dialects.targets import PLACE
from .._dialects.translation.proofs import ProofMemory
from .._schema.dialects import DialectConfig, bedrock_credentials
from ..config import (
    AnthropicConfig,
    AzureOpenAIConfig,
    BedrockConfig,
    GeminiConfig,
    LLMProviderSpec,
    OpenAIConfig,
    VertexConfig,
)

__all__ = ["Serving", "lacks", "serve"]

# Operations whose paths differ in the last part only; those of others contain a model.
_BESIDE = tuple(operation for operation in OPERATIONS if operation.suffix.startswith("/"))

_OPENAI = "api.openai.com"
_AZURE = "azure.ai.openai"
_FOUNDRY = ".services.ai.azure.com"
_BEDROCK_VERSION = "bedrock-2023-05-31"

# The fields of configurations that concern translation -> the options that they set.
_OPTIONS = {
    "max_tokens": "max_tokens",
    "options": "own",
    "reasoning": "budgets",
    "thinking": "thinking",
}


class Serving(msgspec.Struct, frozen=True):
    """The calls that a provider accepts.

    Attributes:
        targets: the request target of each operation that it serves itself.
        conversions: how requests of an operation are changed on their way.
        key_field: the header field of the key; None for that of each operation's dialect.
        options: how requests of other dialects are translated for it.
        foreign: a dialect that no client speaks, to which every request is translated.
        base: the request target in the `foreign` dialect.
        vendor: the vendor in telemetry; empty if the host alone says it.
        counter: counts tokens for clients of other dialects.
    """

    targets: Mapping[ServedOperation, str]
    conversions: Mapping[ServedOperation, Conversion] = msgspec.field(default_factory=dict)
    key_field: bytes | None = None
    options: DialectOptions = DialectOptions()
    foreign: ProviderSide | None = None
    base: str = ""
    vendor: str = ""
    counter: Counter | None = None


def serve(config: DialectConfig, spec: LLMProviderSpec) -> Serving:
    """Return how the provider of `spec` is called where `config` applies."""
    serving = _SERVINGS.get(type(config), _foreign)(config, spec)
    options = replace(
        serving.options,
        rejects_unsupported=config.unsupported_fields == "reject",
        pass_fields=frozenset(config.pass_fields or ()),
        host=spec.host,
    )
    targets, conversions = translate(
        serving.targets,
        serving.conversions,
        options,
        foreign=serving.foreign,
        base=serving.base,
        memory=ProofMemory(threading.Lock()),
    )
    if serving.counter is not None:
        targets, conversions = count(targets, conversions, options, serving.counter)
    return replace(serving, targets=targets, conversions=conversions, options=options)


def _options(config: DialectConfig) -> DialectOptions:
    """Return the settings of a dialect that concern translation, as far as it has them."""
    given = {option: getattr(config, field, None) for field, option in _OPTIONS.items()}
    return DialectOptions(**{option: value for option, value in given.items() if value})


def _foreign(config: DialectConfig, spec: LLMProviderSpec) -> Serving:
    api = foreign_api(type(config).__name__)
    base, counter = _own_path(spec) or api.path, None
    if api.counter is not None:
        counter = Counter(api.counter, f"{base}{api.counted_at}", COUNT_TOKENS)
    return Serving(
        {},
        key_field=api.key_field,
        options=_options(config),
        foreign=api.side,
        base=f"{base}{api.suffix}",
        vendor=api.vendor,
        counter=counter,
    )


def lacks(config: DialectConfig) -> Iterator[tuple[str, str]]:
    """Yield each field that a configuration must have but lacks, with an error message."""
    if isinstance(config, BedrockConfig):
        if config.region is None:
            yield "region", "is missing: requests are signed for a region"
        if not bedrock_credentials(config):
            yield (
                "credentialsFrom",
                "is missing: set one of apiKey, apiKeyFrom, credentials and credentialsFrom",
            )
    elif isinstance(config, AzureOpenAIConfig):
        names = (config.deployment, config.model, config.model_mapping)
        if config.api_version is not None and not any(names):
            yield "deployment", "is missing: with apiVersion it is part of the path"


def _openai(config: OpenAIConfig, spec: LLMProviderSpec) -> Serving:
    targets = own_targets(_beside(spec.path), config.apis or ())
    is_openai = spec.host == _OPENAI
    options = DialectOptions(
        max_tokens_field=config.max_tokens_field
        or ("max_completion_tokens" if is_openai else "max_tokens"),
        sends_reasoning=bool(config.send_reasoning),
        has_late_system=is_openai,
    )
    through = next((op for op in targets if op in (CHAT, RESPONSES, MESSAGES)), None)
    if through is not RESPONSES:
        return Serving(targets, options=options)
    bare, mark, query = targets[RESPONSES].partition("?")
    counter = Counter(
        openai_responses.COUNTER, bare + openai_responses.COUNTED_AT + mark + query, RESPONSES
    )
    return Serving(targets, options=options, counter=counter)


def _anthropic(config: AnthropicConfig, spec: LLMProviderSpec) -> Serving:
    if config.vertex is not None:
        return _anthropic_on_vertex(config, config.vertex, spec)
    is_foundry = spec.host.endswith(_FOUNDRY)
    path = _own_path(spec) or ("/anthropic/v1/messages" if is_foundry else "/v1/messages")
    hosting = _hosting(version=config.version, betas=_betas(config))
    targets = {MESSAGES: path, **_counting(path), **_models(path, MESSAGES.suffix)}
    key_field = b"api-key" if is_foundry else b"x-api-key"
    counts = targets.get(COUNT_TOKENS)
    counter = None if counts is None else Counter(anthropic.COUNTER, counts, COUNT_TOKENS)
    return Serving(
        targets,
        {MESSAGES: hosting},
        key_field,
        options=_options(config),
        vendor="anthropic",
        counter=counter,
    )


def _anthropic_on_vertex(
    config: AnthropicConfig, vertex: VertexConfig, spec: LLMProviderSpec
) -> Serving:
    base = _own_path(spec) or _vertex_base(vertex, "anthropic")
    hosting = _hosting(
        stream_target=f"{base}/{PLACE}:streamRawPredict",
        body_version=config.version or VERTEX_VERSION,
        betas=_betas(config),
    )
    counts = f"{base}/count-tokens:rawPredict"
    return Serving(
        {MESSAGES: f"{base}/{PLACE}:rawPredict"},
        {MESSAGES: hosting},
        b"x-goog-api-key",
        options=_options(config),
        vendor="gcp.vertex_ai",
        counter=Counter(anthropic.VERTEX_COUNTER, counts, COUNT_TOKENS),
    )


def _hosting(**options: Any) -> Conversion:
    """Return the envelope of a host of Anthropic's models, which few configurations need."""
    from .._dialects.anthropic.hosting import Hosting

    return Hosting(**options)


def _betas(config: AnthropicConfig) -> frozenset[str] | None:
    return None if config.betas is None else frozenset(config.betas)


def _gemini(config: GeminiConfig, spec: LLMProviderSpec) -> Serving:
    base, vendor = _own_path(spec) or "/v1beta/models", "gcp.gemini"
    if config.vertex is not None:
        base, vendor = _own_path(spec) or _vertex_base(config.vertex, "google"), "gcp.vertex_ai"
    targets = {operation: f"{base}/{PLACE}{operation.suffix}" for operation in gemini.OPERATIONS}
    if config.vertex is None and base.endswith(MODELS.suffix):
        targets[MODELS] = base
    provider = gemini.COUNTER if config.vertex is None else gemini.VERTEX_COUNTER
    counter = Counter(provider, targets[gemini.COUNT], gemini.COUNT)
    return Serving(
        targets,
        key_field=gemini.DIALECT.key_field,
        options=_options(config),
        vendor=vendor,
        counter=counter,
    )


def _bedrock(config: BedrockConfig, spec: LLMProviderSpec) -> Serving:
    converse = _foreign(config, spec)
    if config.api != "invoke":
        return converse
    base = _own_path(spec) or "/model"
    hosting = _hosting(
        stream_target=f"{base}/{PLACE}/invoke-with-response-stream",
        body_version=_BEDROCK_VERSION,
        betas=frozenset(config.betas or ()),
        has_frames=True,
    )
    targets = {MESSAGES: f"{base}/{PLACE}/invoke"}
    conversions = {MESSAGES: hosting}
    return replace(converse, targets=targets, conversions=conversions, foreign=None, base="")


def _azure(config: AzureOpenAIConfig, spec: LLMProviderSpec) -> Serving:
    base = _own_path(spec) or "/openai"
    options = DialectOptions(max_tokens_field="max_completion_tokens", has_late_system=True)
    if config.api_version is None:
        targets = own_targets(_beside(f"{base}/v1{CHAT.suffix}"), ())
        return Serving(targets, key_field=b"api-key", options=options, vendor=_AZURE)
    query = f"?api-version={config.api_version}"
    targets = {
        operation: f"{base}/deployments/{PLACE}{operation.suffix}{query}"
        for operation in OPERATIONS
        if operation.dialect is CHAT.dialect and operation.has_body
    }
    return Serving(targets, key_field=b"api-key", options=options, vendor=_AZURE)


# Providers with an API that clients speak; all others have one that no client does.
_SERVINGS: Mapping[type[DialectConfig], Callable[..., Serving]] = {
    OpenAIConfig: _openai,
    AnthropicConfig: _anthropic,
    GeminiConfig: _gemini,
    BedrockConfig: _bedrock,
    AzureOpenAIConfig: _azure,
}


def _own_path(spec: LLMProviderSpec) -> str | None:
    """Return the configured path; the default is that of OpenAI's dialect."""
    return spec.path if "path" in spec.model_fields_set else None


def _vertex_base(vertex: VertexConfig, publisher: str) -> str:
    place = f"/v1/projects/{vertex.project}/locations/{vertex.location}"
    return f"{place}/publishers/{vertex.publisher or publisher}/models"


def _beside(path: str) -> Mapping[ServedOperation, str]:
    """Return the target of each operation: chat is `path` itself, the others are next to it.

    A path of Anthropic's messages says nothing of chat next to it.
    """
    bare, mark, query = path.partition("?")
    targets = {}
    if bare.endswith(MESSAGES.suffix):
        return {MESSAGES: path, **_counting(path)}
    for operation in _BESIDE:
        if bare.endswith(operation.suffix):
            base = bare.removesuffix(operation.suffix)
            targets = {other: base + other.suffix + mark + query for other in _BESIDE}
            break
    targets[CHAT] = path
    return targets


def _counting(path: str) -> Mapping[ServedOperation, str]:
    """Return the target that counts tokens, which is below that of messages."""
    bare, mark, query = path.partition("?")
    if not bare.endswith(MESSAGES.suffix):
        return {}
    return {COUNT_TOKENS: bare.removesuffix(MESSAGES.suffix) + COUNT_TOKENS.suffix + mark + query}


def _models(path: str, suffix: str) -> Mapping[ServedOperation, str]:
    bare, mark, query = path.partition("?")
    if not bare.endswith(suffix):
        return {}
    return {MODELS: bare.removesuffix(suffix) + MODELS.suffix + mark + query}
