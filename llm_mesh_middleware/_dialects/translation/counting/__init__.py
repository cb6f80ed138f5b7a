"""Counts of a conversation's tokens before it is sent.

the provider has an API for it ──► it counts, in its own form, with its own model's tokenizer
else, or where that knows not the model ──► an estimate, which says that it is one
"""

from __future__ import annotations

from .sides import CountingClient, CountingProvider
from .transformer import CountTranslation

__all__ = ["CountTranslation", "CountingClient", "CountingProvider"]
