"""Models of the documents that a user writes: those of ASM and beyond, and `LLMPolicy`.

Attributes are snake_case, YAML is camelCase. A model is validated when it is created; references to
other documents, files and the environment are checked when documents are compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, JsonValue

from ._schema.active_check import ActiveCheck
from ._schema.base import EXTENSION, StringMatch
from ._schema.dialects import (
    AnthropicConfig,
    AzureOpenAIConfig,
    BedrockConfig,
    GeminiConfig,
    OllamaConfig,
    OpenAIConfig,
    VertexConfig,
)
from ._schema.document import DocumentModel, ObjectMeta
from ._schema.json_schema import make_schema
from ._schema.keys import (
    AmbientCredentials,
    APIKeySource,
    AWSCredentials,
    EntraConfig,
    GoogleCredentials,
    SecretKeyRef,
)
from ._schema.price import ModelPrices, PriceTier, TokenPrices
from ._schema.provider import (
    LLMProviderSpec,
    OutlierDetection,
    ProviderConfig,
    ProviderConfigs,
    UpstreamTLS,
    WorkloadSelector,
)
from ._schema.wording import Path, format_field

if TYPE_CHECKING:
    from ._schema.inference.documents import (
        EndpointPickerRef,
        InferenceModel,
        InferenceModelRewrite,
        InferenceModelRewriteSpec,
        InferenceModelSpec,
        InferenceModelTarget,
        InferencePool,
        InferencePoolSpec,
        ModelRewriteMatch,
        ModelRewriteRule,
        ModelRewriteTarget,
        ModelRewriteValue,
        PickerPort,
        PoolMetrics,
        PoolRef,
        TargetPort,
    )
    from ._schema.inference.reference import InferencePoolRef, PickerTLS
    from ._schema.mirror import Mirror
    from ._schema.policy.document import (
        BudgetItem,
        BudgetOverride,
        CacheEmbedding,
        CacheItem,
        CacheSemantic,
        GuardAction,
        GuardDeny,
        GuardItem,
        GuardJudge,
        GuardKeywords,
        GuardLog,
        GuardMask,
        GuardModeration,
        GuardPII,
        GuardRegex,
        GuardSchema,
        GuardWebhook,
        LimitItem,
        LimitOverride,
        LLMPolicy,
        LLMPolicySpec,
        PolicyService,
        TargetRef,
        TokenWeights,
    )
    from ._schema.route import (
        BackendRef,
        Balance,
        LLMRoute,
        LLMRouteSpec,
        RetryPolicy,
        RouteMatch,
        RouteRule,
        RuleTimeouts,
        StickyBy,
    )

__all__ = [
    "APIKeySource",
    "ActiveCheck",
    "PoolMetrics",
    "AWSCredentials",
    "AmbientCredentials",
    "AnthropicConfig",
    "AzureOpenAIConfig",
    "BackendRef",
    "Balance",
    "BedrockConfig",
    "BudgetItem",
    "BudgetOverride",
    "GeminiConfig",
    "OllamaConfig",
    "Mirror",
    "EntraConfig",
    "GoogleCredentials",
    "Document",
    "EndpointPickerRef",
    "PickerPort",
    "PickerTLS",
    "InferenceModel",
    "InferenceModelRewrite",
    "InferenceModelRewriteSpec",
    "InferenceModelSpec",
    "InferenceModelTarget",
    "InferencePool",
    "ModelRewriteMatch",
    "ModelRewriteRule",
    "ModelRewriteTarget",
    "ModelRewriteValue",
    "PoolRef",
    "InferencePoolRef",
    "InferencePoolSpec",
    "LLMPolicy",
    "LLMPolicySpec",
    "LLMProvider",
    "LLMProviderSpec",
    "LLMRoute",
    "LLMRouteSpec",
    "CacheEmbedding",
    "CacheItem",
    "CacheSemantic",
    "GuardAction",
    "GuardDeny",
    "GuardItem",
    "GuardJudge",
    "GuardKeywords",
    "GuardLog",
    "GuardMask",
    "GuardModeration",
    "GuardPII",
    "GuardRegex",
    "GuardSchema",
    "GuardWebhook",
    "LimitItem",
    "LimitOverride",
    "ModelPrices",
    "ObjectMeta",
    "OpenAIConfig",
    "PolicyService",
    "OutlierDetection",
    "PriceTier",
    "ProviderConfig",
    "ProviderConfigs",
    "RetryPolicy",
    "RouteMatch",
    "RouteRule",
    "RuleTimeouts",
    "SecretKeyRef",
    "StickyBy",
    "StringMatch",
    "TargetPort",
    "TargetRef",
    "TokenWeights",
    "TokenPrices",
    "UpstreamTLS",
    "VertexConfig",
    "WorkloadSelector",
    "json_schema",
    "used_extensions",
]

# Where the models of routes, policies and pools are. Many configurations have none of them, so they
# are imported when they are asked for.
_LATER = (
    "._schema.route",
    "._schema.mirror",
    "._schema.inference.reference",
    "._schema.policy.document",
    "._schema.inference.documents",
)
_KINDS = ("LLMRoute", "LLMPolicy", "InferencePool", "InferenceModelRewrite", "InferenceModel")


class LLMProvider(DocumentModel):
    """A model provider."""

    kind: Literal["LLMProvider"] = Field(default="LLMProvider", description="The kind.")
    spec: LLMProviderSpec = Field(description="The provider.")


if TYPE_CHECKING:
    Document = (
        LLMProvider | LLMRoute | LLMPolicy | InferencePool | InferenceModelRewrite | InferenceModel
    )
else:

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name == "Document":
            value = reduce(or_, map(__getattr__, _KINDS), LLMProvider)
        else:
            modules = (import_module(module, __package__) for module in _LATER)
            value = next(getattr(module, name) for module in modules if name in module.__all__)
        globals()[name] = value
        return value


def json_schema(model: type[Document] | None = None) -> dict[str, JsonValue]:
    """Return the JSON Schema (2020-12) of one kind of document, or of any kind.

    Field names are those of YAML; fields unknown to ASM have `x-extension: true`.
    """
    from ._schema.inference.documents import InferencePool
    from ._schema.policy.document import LLMPolicy
    from ._schema.route import LLMRoute

    return make_schema(
        (LLMProvider, LLMRoute, LLMPolicy, InferencePool) if model is None else (model,)
    )


def used_extensions(model: Document) -> tuple[str, ...]:
    """Return the fields of a document that ASM ignores, such as `spec.endpoint`."""
    if model.kind == "LLMPolicy":
        return ("spec",)
    return tuple(format_field(path) for path in _extensions(model, ()))


def _extensions(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            inner = getattr(value, name)
            if name not in value.model_fields_set or inner is None:
                continue
            place = (*path, field.alias or name)
            if field.json_schema_extra == EXTENSION:
                yield place
            else:
                yield from _extensions(inner, place)
        return
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, tuple):
        items = enumerate(value)
    elif isinstance(value, dict):
        items = value.items()
    for key, inner in items:
        yield from _extensions(inner, (*path, key))
