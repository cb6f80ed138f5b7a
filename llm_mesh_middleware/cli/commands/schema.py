"""`llm-mesh schema`: the JSON Schema of the documents."""

from __future__ import annotations

import json

import click

from ...config import Document, InferencePool, LLMPolicy, LLMProvider, LLMRoute, json_schema

__all__ = ["report"]

_KINDS: dict[str, type[Document]] = {
    "LLMProvider": LLMProvider,
    "LLMRoute": LLMRoute,
    "LLMPolicy": LLMPolicy,
    "InferencePool": InferencePool,
}


def report(kind: str | None) -> None:
    """Print the schema of one kind of document, or of any."""
    click.echo(json.dumps(json_schema(_KINDS[kind] if kind else None), indent=2))
