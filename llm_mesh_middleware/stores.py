"""Stores of limits: where buckets and slots are kept, and the interface of your own store.

`Mesh(store=...)` takes any object with the methods of `Store`. By default it is the one that
`LLM_MESH_STORE` names.
"""

from __future__ import annotations

from ._core.limiting.claims import (
    BucketChange,
    BucketClaim,
    BudgetChange,
    BudgetClaim,
    Change,
    Claim,
    Outcome,
    Reserve,
    Reserved,
    Settle,
    SlotClaim,
    SlotRelease,
    Store,
)
from ._engine.ports.memory import MemoryStore
from ._engine.ports.opening import open_store

__all__ = [
    "BucketChange",
    "BucketClaim",
    "BudgetChange",
    "BudgetClaim",
    "Change",
    "Claim",
    "MemoryStore",
    "Outcome",
    "Reserve",
    "Reserved",
    "Settle",
    "SlotClaim",
    "SlotRelease",
    "Store",
    "open_store",
]
