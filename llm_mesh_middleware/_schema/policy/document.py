"""The document `LLMPolicy`."""

from typing import Literal

from pydantic import Field

from ..document import DocumentModel
from .budgets import BudgetItem, BudgetOverride
from .caches import CacheEmbedding, CacheItem, CacheSemantic
from .guards import (
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
from .services import PolicyService
from .spec import LimitItem, LimitOverride, LLMPolicySpec, TargetRef, TokenWeights

__all__ = [
    "BudgetItem",
    "BudgetOverride",
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
    "LLMPolicy",
    "LLMPolicySpec",
    "LimitItem",
    "LimitOverride",
    "PolicyService",
    "TargetRef",
    "TokenWeights",
]


class LLMPolicy(DocumentModel):
    """How much the requests of routes and to providers may use."""

    api_version: Literal["llm-mesh.dev/v1alpha1"] = Field(  # type: ignore[assignment]
        default="llm-mesh.dev/v1alpha1", description="Version of the format."
    )
    kind: Literal["LLMPolicy"] = Field(default="LLMPolicy", description="The kind.")
    spec: LLMPolicySpec = Field(description="The policy.")
