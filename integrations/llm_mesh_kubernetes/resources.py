"""The resources that a mesh reads, and their paths on an API server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = [
    "ALL_NAMESPACES",
    "CUSTOM",
    "PLURALS",
    "POLICIES",
    "POOLS",
    "PROVIDERS",
    "REWRITES",
    "ROUTES",
    "Custom",
    "custom_paths",
    "is_name",
    "member",
    "pod_path",
    "pool_paths",
    "rewrite_paths",
    "secret_path",
]


@dataclass(frozen=True, slots=True)
class Custom:
    """A kind of the mesh's documents; the first version is the stored one.

    A cluster may lack an optional kind.
    """

    kind: str
    plural: str
    group: str
    versions: tuple[str, ...]
    is_optional: bool = False


_ASM: Final = ("istio.alibabacloud.com", ("v1beta1", "v1"))
PROVIDERS: Final = Custom("LLMProvider", "llmproviders", *_ASM)
ROUTES: Final = Custom("LLMRoute", "llmroutes", *_ASM)
POLICIES: Final = Custom(
    "LLMPolicy", "llmpolicies", "llm-mesh.dev", ("v1alpha1",), is_optional=True
)
CUSTOM: Final = (PROVIDERS, ROUTES, POLICIES)
PLURALS: Final = tuple(each.plural for each in CUSTOM)
ALL_NAMESPACES: Final = "*"
POOLS: Final = "inferencepools"
# The kinds that rewrite the models of pools: the newer one and the older one.
REWRITES: Final = ("inferencemodelrewrites", "inferencemodels")
_REWRITE_APIS: Final = (
    "inference.networking.x-k8s.io/v1alpha2",
    "inference.networking.x-k8s.io/v1alpha1",
)
_POOL_APIS: Final = (
    "inference.networking.k8s.io/v1",
    "inference.networking.x-k8s.io/v1alpha2",
    "inference.networking.x-k8s.io/v1alpha1",
)


def custom_paths(custom: Custom, namespace: str) -> list[str]:
    """Return the paths of a kind in a namespace, or in all of them, in each version."""
    scope = "" if namespace == ALL_NAMESPACES else f"namespaces/{namespace}/"
    base = f"/apis/{custom.group}"
    return [f"{base}/{version}/{scope}{custom.plural}" for version in custom.versions]


def secret_path(namespace: str) -> str:
    """Return the path of a namespace's Secrets."""
    return f"/api/v1/namespaces/{namespace}/secrets"


def pool_paths(namespace: str) -> list[str]:
    """Return the paths of a namespace's pools, in each version of their kind."""
    return [f"/apis/{api}/namespaces/{namespace}/{POOLS}" for api in _POOL_APIS]


def rewrite_paths(namespace: str, plural: str) -> list[str]:
    """Return the paths of a namespace's rewrites of one kind, in each version."""
    return [f"/apis/{api}/namespaces/{namespace}/{plural}" for api in _REWRITE_APIS]


def pod_path(namespace: str) -> str:
    """Return the path of a namespace's pods."""
    return f"/api/v1/namespaces/{namespace}/pods"


def is_name(name: object) -> bool:
    """Return whether a text is the name of an object, which needs no escapes in a path."""
    if not isinstance(name, str) or not name.isascii():
        return False
    return name.replace("-", "").replace(".", "").isalnum()


def member(value: object, *path: str) -> object:
    """Return the member at a path of an object, which may have any form; None if there is none."""
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value
