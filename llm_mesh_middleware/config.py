"""Models of the documents that a user writes: those of ASM and beyond, and `LLMPolicy`.

Attributes are snake_case, YAML is camelCase. A model is validated when it is created; references to
other documents, files and the environment are checked when documents are compiled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.config import JsonDict

from ._schema.active_check import ActiveCheck
from ._schema.base import EXTENSION, Name, Wire
from ._schema.dialects import (
    AnthropicConfig,
    AzureOpenAIConfig,
    BedrockConfig,
    GeminiConfig,
    OllamaConfig,
    OpenAIConfig,
    VertexConfig,
)
from ._schema.inference.pool import (
    EndpointPickerRef,
    InferencePoolSpec,
    PickerPort,
    PoolMetrics,
    TargetPort,
)
from ._schema.inference.reference import InferencePoolRef, PickerTLS
from ._schema.inference.rewrite import (
    InferenceModelRewriteSpec,
    InferenceModelSpec,
    InferenceModelTarget,
    ModelRewriteMatch,
    ModelRewriteRule,
    ModelRewriteTarget,
    ModelRewriteValue,
    PoolRef,
)
from ._schema.json_schema import make_schema
from ._schema.keys import (
    AmbientCredentials,
    APIKeySource,
    AWSCredentials,
    EntraConfig,
    GoogleCredentials,
    SecretKeyRef,
)
from ._schema.mirror import Mirror
from ._schema.policy.budgets import BudgetItem, BudgetOverride
from ._schema.policy.caches import CacheEmbedding, CacheItem, CacheSemantic
from ._schema.policy.guards import (
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
)
from ._schema.policy.services import PolicyService
from ._schema.policy.spec import LimitItem, LimitOverride, LLMPolicySpec, TargetRef, TokenWeights
from ._schema.price import ModelPrices, PriceTier, TokenPrices
from ._schema.provider import (
    LLMProviderSpec,
    OutlierDetection,
    ProviderConfig,
    ProviderConfigs,
    UpstreamTLS,
    WorkloadSelector,
)
from ._schema.route import (
    BackendRef,
    Balance,
    LLMRouteSpec,
    RetryPolicy,
    RouteMatch,
    RouteRule,
    RuleTimeouts,
    StickyBy,
    StringMatch,
)
from ._schema.wording import Path, format_field

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

_REQUIRED: JsonDict = {"required": ["apiVersion", "kind", "metadata", "spec"]}


class ObjectMeta(Wire):
    """The name of a document; all other Kubernetes metadata is ignored."""

    model_config = ConfigDict(extra="ignore")

    name: Name = Field(description="Name of the document, unique for its kind in its namespace.")
    namespace: Name | None = Field(
        default=None, description="Namespace of the document. Default: that of the mesh."
    )


class _Document(Wire):
    model_config = ConfigDict(json_schema_extra=_REQUIRED)

    api_version: Literal["istio.alibabacloud.com/v1beta1", "istio.alibabacloud.com/v1"] = Field(
        default="istio.alibabacloud.com/v1beta1", description="Version of the format."
    )
    metadata: ObjectMeta = Field(description="Name and namespace.")
    status: object = Field(
        default=None, exclude=True, repr=False, description="Written by a control plane; ignored."
    )


class LLMProvider(_Document):
    """A model provider."""

    kind: Literal["LLMProvider"] = Field(default="LLMProvider", description="The kind.")
    spec: LLMProviderSpec = Field(description="The provider.")


class LLMRoute(_Document):
    """How requests to one virtual host are distributed to providers."""

    kind: Literal["LLMRoute"] = Field(default="LLMRoute", description="The kind.")
    spec: LLMRouteSpec = Field(description="The route.")


_PoolVersion = Literal[
    "inference.networking.k8s.io/v1",
    "inference.networking.x-k8s.io/v1alpha2",
    "inference.networking.x-k8s.io/v1alpha1",
]


class InferencePool(_Document):
    """A pool of model servers, which a backendRef names."""

    api_version: _PoolVersion = Field(  # type: ignore[assignment]
        default="inference.networking.k8s.io/v1", description="Version of the format."
    )
    kind: Literal["InferencePool"] = Field(default="InferencePool", description="The kind.")
    spec: InferencePoolSpec = Field(description="The pool.")


_RewriteVersion = Literal[
    "inference.networking.x-k8s.io/v1alpha2",
    "inference.networking.x-k8s.io/v1alpha1",
    "inference.networking.k8s.io/v1alpha2",
]


class InferenceModelRewrite(_Document):
    """Names of models that the servers of a pool have other names for."""

    api_version: _RewriteVersion = Field(  # type: ignore[assignment]
        default="inference.networking.x-k8s.io/v1alpha2", description="Version of the format."
    )
    kind: Literal["InferenceModelRewrite"] = Field(
        default="InferenceModelRewrite", description="The kind."
    )
    spec: InferenceModelRewriteSpec = Field(description="The names.")


class InferenceModel(_Document):
    """A model of a pool, as versions before `InferenceModelRewrite` declared it."""

    api_version: _RewriteVersion = Field(  # type: ignore[assignment]
        default="inference.networking.x-k8s.io/v1alpha2", description="Version of the format."
    )
    kind: Literal["InferenceModel"] = Field(default="InferenceModel", description="The kind.")
    spec: InferenceModelSpec = Field(description="The model.")


class LLMPolicy(_Document):
    """How much the requests of routes and to providers may use."""

    api_version: Literal["llm-mesh.dev/v1alpha1"] = Field(  # type: ignore[assignment]
        default="llm-mesh.dev/v1alpha1", description="Version of the format."
    )
    kind: Literal["LLMPolicy"] = Field(default="LLMPolicy", description="The kind.")
    spec: LLMPolicySpec = Field(description="The policy.")


Document = (
    LLMProvider | LLMRoute | LLMPolicy | InferencePool | InferenceModelRewrite | InferenceModel
)


def json_schema(model: type[Document] | None = None) -> dict[str, JsonValue]:
    """Return the JSON Schema (2020-12) of one kind of document, or of any kind.

    Field names are those of YAML; fields unknown to ASM have `x-extension: true`.
    """
    return make_schema(
        (LLMProvider, LLMRoute, LLMPolicy, InferencePool) if model is None else (model,)
    )


def used_extensions(model: Document) -> tuple[str, ...]:
    """Return the fields of a document that ASM ignores, such as `spec.endpoint`."""
    if isinstance(model, LLMPolicy):
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
