"""The bare app behind the mesh: a route with two rules, a provider with a model and a key."""

from __future__ import annotations

from typing import Any

from llm_mesh_middleware import LLMMeshMiddleware, LLMProvider, LLMRoute, MeshSettings
from tests.benchmarks.apps import bare
from tests.benchmarks.wire import KEY, LLM_HOST, MODEL, PATH, PROVIDER_HOST, Origin

__all__ = ["make"]

_PROVIDER = {
    "metadata": {"name": "provider"},
    "spec": {
        "host": PROVIDER_HOST,
        "path": PATH,
        "configs": {"defaultConfig": {"openAIConfig": {"model": MODEL, "apiKey": KEY}}},
    },
}
_ROUTE = {
    "metadata": {"name": "route"},
    "spec": {
        "host": LLM_HOST,
        "rules": [
            {
                "name": "subscribers",
                "matches": [{"headers": {"user-type": {"exact": "subscriber"}}}],
                "backendRefs": [{"providerHost": PROVIDER_HOST}],
            },
            {"name": "default", "backendRefs": [{"providerHost": PROVIDER_HOST}]},
        ],
    },
}


def make(origin: Origin, **settings: Any) -> LLMMeshMiddleware:
    """The mesh with default settings, but for `settings` and where the provider is."""
    return LLMMeshMiddleware(
        bare.make(origin),
        config=[LLMProvider.model_validate(_PROVIDER), LLMRoute.model_validate(_ROUTE)],
        settings=MeshSettings(
            endpoints={PROVIDER_HOST: origin.url}, ca_file=origin.ca_file, **settings
        ),
    )
