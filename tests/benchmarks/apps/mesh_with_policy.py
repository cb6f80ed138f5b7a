"""The bare app behind the mesh with an `LLMPolicy`, which the first edition has not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llm_mesh_middleware import LLMMeshMiddleware, LLMPolicy
from tests.benchmarks.apps import bare
from tests.benchmarks.apps.mesh import configured
from tests.benchmarks.wire import Origin

__all__ = ["make", "make_cached"]


def make(origin: Origin, policy: Mapping[str, Any] | None, **settings: Any) -> LLMMeshMiddleware:
    """The mesh with an `LLMPolicy` of this `spec`."""
    arguments = configured(origin, settings)
    if policy is not None:
        document = {"metadata": {"name": "policy"}, "spec": policy}
        arguments["config"].append(LLMPolicy.model_validate(document))
    return LLMMeshMiddleware(bare.make(origin), **arguments)


def make_cached(origin: Origin) -> LLMMeshMiddleware:
    """The mesh that asks a provider once, and has the response after that."""
    return make(origin, {"cache": {"ttl": "1h", "vary": []}})
