"""Token counts of a conversation before it is sent.

the provider has an API for it ──► it counts, with its own model's tokenizer
otherwise, or if that does not know the model ──► an estimate, in a reply that is marked as one
"""

from __future__ import annotations

from .pair import CountTranslation
from .sides import CountingClient, CountingProvider

__all__ = ["CountTranslation", "CountingClient", "CountingProvider"]
