"""`cache.semantic` of `LLMPolicy` documents."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ..._core.policy.cache import Semantic
from ..._core.provider.upstream import Upstream
from ..._core.side_calls.embedding import Embedder
from ..._dialects.openai_chat.embeddings import EMBEDDING_FORM
from ..._manifest import Resource
from ...config import CacheSemantic
from ...exceptions import Problem

__all__ = ["compile_semantic"]

_PATH = ("spec", "cache", "semantic")
_THRESHOLD = 0.95
_TIMEOUT_S = 0.3


def compile_semantic(
    resource: Resource,
    item: CacheSemantic,
    find: Callable[[str, str | None], Upstream | str],
    problems: list[Problem],
) -> Semantic | None:
    """Return the semantic part of a cache, or None if its embeddings cannot be had.

    Args:
        resource: the policy.
        item: its `cache.semantic`.
        find: returns the upstream of a provider host and a model, or an error message.
        problems: gets the errors.
    """
    try:
        # Import it now, so that no request waits for it.
        importlib.import_module("numpy")
    except ImportError:
        message = "needs the extra semantic: pip install 'llm-mesh-middleware[semantic]'"
        problems.append(resource.problem(_PATH, message))
    embedding = item.embedding
    upstream = find(embedding.provider_host, embedding.model)
    if not isinstance(upstream, str) and EMBEDDING_FORM.operation not in upstream.targets:
        upstream = "names a provider that has no embeddings"
    if isinstance(upstream, str):
        problems.append(resource.problem((*_PATH, "embedding", "providerHost"), upstream))
        return None
    return Semantic(
        Embedder(upstream, EMBEDDING_FORM, embedding.model),
        _THRESHOLD if item.threshold is None else item.threshold,
        item.shadow is not False,
        item.timeout or _TIMEOUT_S,
    )
