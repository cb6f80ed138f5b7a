"""LiteLLM's names and numbers in the form of manifests."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

__all__ = ["amount", "document", "duration", "match", "slug"]

_GROUPS = {"LLMPolicy": "llm-mesh.dev/v1alpha1"}
_ASM = "istio.alibabacloud.com/v1beta1"


def document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return a document of one of the mesh's kinds."""
    version = _GROUPS.get(kind, _ASM)
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def match(name: str) -> dict[str, str] | None:
    """Return the condition on the model; None for any model."""
    if name == "*":
        return None
    if name.endswith("*"):
        return {"prefix": name.removesuffix("*")}
    return {"exact": name}


def slug(name: str) -> str:
    """Return a text in the form of a document's or an item's name."""
    text = re.sub(r"[^a-z0-9.]+", "-", name.lower().replace("*", "any")).strip("-.")
    return text or "any"


def duration(value: float) -> str:
    """Return a number of seconds as a duration."""
    return f"{value:g}s" if value >= 1 else f"{value * 1000:g}ms"


def amount(value: Decimal) -> str:
    """Return an amount of money as text, rounded to nano-units."""
    text = format(round(value, 9), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
