"""The resources that concern a mesh, and where an API server has them."""

from __future__ import annotations

from typing import Final

__all__ = ["ALL_NAMESPACES", "GROUP", "PLURALS", "VERSIONS", "custom_paths", "secret_path"]

GROUP: Final = "istio.alibabacloud.com"
# The first is the one the documents of ASM are written in.
VERSIONS: Final = ("v1beta1", "v1")
PLURALS: Final = ("llmproviders", "llmroutes")
ALL_NAMESPACES: Final = "*"


def custom_paths(plural: str, namespace: str) -> list[str]:
    """The collection of a kind in a namespace, or in all of them, in each of its versions."""
    scope = "" if namespace == ALL_NAMESPACES else f"namespaces/{namespace}/"
    return [f"/apis/{GROUP}/{version}/{scope}{plural}" for version in VERSIONS]


def secret_path(namespace: str) -> str:
    """The Secrets of a namespace."""
    return f"/api/v1/namespaces/{namespace}/secrets"
