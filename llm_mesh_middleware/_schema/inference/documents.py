"""The documents of the Gateway API inference extension that the mesh reads."""

from typing import Literal

from pydantic import Field

from ..document import DocumentModel
from .pool import EndpointPickerRef, InferencePoolSpec, PickerPort, PoolMetrics, TargetPort
from .rewrite import (
    InferenceModelRewriteSpec,
    InferenceModelSpec,
    InferenceModelTarget,
    ModelRewriteMatch,
    ModelRewriteRule,
    ModelRewriteTarget,
    ModelRewriteValue,
    PoolRef,
)

__all__ = [
    "EndpointPickerRef",
    "InferenceModel",
    "InferenceModelRewrite",
    "InferenceModelRewriteSpec",
    "InferenceModelSpec",
    "InferenceModelTarget",
    "InferencePool",
    "InferencePoolSpec",
    "ModelRewriteMatch",
    "ModelRewriteRule",
    "ModelRewriteTarget",
    "ModelRewriteValue",
    "PickerPort",
    "PoolMetrics",
    "PoolRef",
    "TargetPort",
]

_PoolVersion = Literal[
    "inference.networking.k8s.io/v1",
    "inference.networking.x-k8s.io/v1alpha2",
    "inference.networking.x-k8s.io/v1alpha1",
]


class InferencePool(DocumentModel):
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


class InferenceModelRewrite(DocumentModel):
    """Names of models that the servers of a pool have other names for."""

    api_version: _RewriteVersion = Field(  # type: ignore[assignment]
        default="inference.networking.x-k8s.io/v1alpha2", description="Version of the format."
    )
    kind: Literal["InferenceModelRewrite"] = Field(
        default="InferenceModelRewrite", description="The kind."
    )
    spec: InferenceModelRewriteSpec = Field(description="The names.")


class InferenceModel(DocumentModel):
    """A model of a pool, as versions before `InferenceModelRewrite` declared it."""

    api_version: _RewriteVersion = Field(  # type: ignore[assignment]
        default="inference.networking.x-k8s.io/v1alpha2", description="Version of the format."
    )
    kind: Literal["InferenceModel"] = Field(default="InferenceModel", description="The kind.")
    spec: InferenceModelSpec = Field(description="The model.")
