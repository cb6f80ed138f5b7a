"""A provider of vectors: the letters of a text, three at a time, counted by their hash."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

from llm_mesh_middleware import LLMPolicy
from llm_mesh_middleware.testing import Answer, RecordedRequest

__all__ = ["MODEL", "embed", "embedded", "policy"]

MODEL = "letters"
_WIDTH = 512


def embedded(text: str) -> list[float]:
    """Return the vector of a text; the order of its words makes no difference."""
    vector = [0.0] * _WIDTH
    for word in re.findall(r"\w+", text.lower()):
        padded = f" {word} "
        for start in range(len(padded) - 2):
            digest = blake2b(padded[start : start + 3].encode(), digest_size=2).digest()
            vector[int.from_bytes(digest) % _WIDTH] += 1.0
    return vector


def embed(request: RecordedRequest) -> Answer:
    """Answer as OpenAI's endpoint does, a token for each word."""
    body = request.json()
    assert body["model"] == MODEL
    tokens = sum(len(text.split()) for text in body["input"])
    data = [
        {"object": "embedding", "index": index, "embedding": embedded(text)}
        for index, text in enumerate(body["input"])
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return Answer(body={"object": "list", "data": data[::-1], "model": MODEL, "usage": usage})


def policy(host: str, cache: dict[str, Any] | None = None, **semantic: Any) -> LLMPolicy:
    """A cache for everybody whose vectors are made by a provider; on unless it says otherwise."""
    given = {
        "embedding": {"providerHost": host, "model": MODEL},
        "threshold": 0.8,
        "shadow": False,
        "timeout": "10s",
        **semantic,
    }
    spec = {"cache": {"vary": [], "semantic": given, **(cache or {})}}
    return LLMPolicy.model_validate({"metadata": {"name": "team"}, "spec": spec})
