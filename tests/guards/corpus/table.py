"""The table of precision and recall, and of what streams hold back."""

from __future__ import annotations

from collections.abc import Iterator

from llm_mesh_middleware._core.guarding.scanner import ENTITIES
from tests.guards.corpus.generators import GENERATORS
from tests.guards.corpus.labelled import corpus, score

__all__ = ["lines"]


def lines() -> Iterator[str]:
    """Yield the rows, in Markdown."""
    yield "| entity | texts | precision | recall | held back at most |"
    yield "|---|---|---|---|---|"
    for entity in GENERATORS:
        texts = corpus(entity)
        found = score(entity, texts)
        figures = f"{found.precision:.3f} | {found.recall:.3f}"
        held = f"{ENTITIES[entity]().longest:,} characters"
        yield f"| `{entity}` | {len(texts)} | {figures} | {held} |"
