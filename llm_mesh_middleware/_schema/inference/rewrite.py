"""The models below the `spec` of `InferenceModelRewrite`, and of the older `InferenceModel`.

As with pools, unknown fields are ignored: they are for a picker in the cluster.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ..base import ListOf, Name, Wire
from ..wording import fault_at

__all__ = [
    "InferenceModelRewriteSpec",
    "InferenceModelSpec",
    "InferenceModelTarget",
    "ModelRewriteMatch",
    "ModelRewriteRule",
    "ModelRewriteTarget",
    "ModelRewriteValue",
    "PoolRef",
]

_LENIENT = ConfigDict(extra="ignore")
_Weight = Annotated[int, Field(ge=1, le=1_000_000)]


class PoolRef(Wire):
    """A pool of the same namespace."""

    model_config = _LENIENT

    name: Name = Field(description="Name of the InferencePool. Required.")


class ModelRewriteValue(Wire):
    """The name of a model."""

    model_config = _LENIENT

    type: Literal["Exact"] | None = Field(
        default=None, description="How it is compared. Default: Exact."
    )
    value: Name = Field(description="The name in the request. Required.")


class ModelRewriteMatch(Wire):
    """A condition on a request."""

    model_config = _LENIENT

    model: ModelRewriteValue = Field(description="The model that is asked for. Required.")


class ModelRewriteTarget(Wire):
    """A model that requests are rewritten to."""

    model_config = _LENIENT

    model_rewrite: Name = Field(description="The servers' name for it. Required.")
    weight: _Weight | None = Field(
        default=None,
        description="Share of the requests, relative to its siblings. Default: the same for all.",
    )


class ModelRewriteRule(Wire):
    """A rewrite of the requests for some models."""

    model_config = _LENIENT

    matches: ListOf[ModelRewriteMatch] = Field(
        default=(), description="Any of these must hold. Default: none, the rule is for all others."
    )
    targets: Annotated[ListOf[ModelRewriteTarget], Field(min_length=1)] = Field(
        description="Models that share the requests. At least one. Required."
    )

    @model_validator(mode="after")
    def _weights_of_all(self) -> Self:
        _check_weights("targets", [target.weight for target in self.targets])
        return self


class InferenceModelRewriteSpec(Wire):
    """The rewrites of model names in requests to a pool."""

    model_config = _LENIENT

    pool_ref: PoolRef = Field(description="The pool. Required.")
    rules: ListOf[ModelRewriteRule] = Field(
        default=(), description="Rules; an exact match overrides a rule without one. Required."
    )


class InferenceModelTarget(Wire):
    """A model that requests are rewritten to."""

    model_config = _LENIENT

    name: Name = Field(description="The servers' name for it. Required.")
    weight: _Weight | None = Field(
        default=None,
        description="Share of the requests, relative to its siblings. Default: the same for all.",
    )


class InferenceModelSpec(Wire):
    """A model that a pool serves, possibly by other names."""

    model_config = _LENIENT

    model_name: Name = Field(description="The name in the request. Required.")
    pool_ref: PoolRef = Field(description="The pool. Required.")
    target_models: ListOf[InferenceModelTarget] = Field(
        default=(), description="Models that share the requests. Default: the name itself."
    )

    @model_validator(mode="after")
    def _weights_of_all(self) -> Self:
        _check_weights("targetModels", [target.weight for target in self.target_models])
        return self


def _check_weights(field: str, weights: Sequence[int | None]) -> None:
    if None in weights and set(weights) != {None}:
        place = (field, weights.index(None))
        raise fault_at(
            place, "must have a weight, as a sibling has one; give weights to all or none"
        )
