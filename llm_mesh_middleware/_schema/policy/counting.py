"""Fields that limits and budgets share: what is counted, and what happens where it cannot be.

Types, not a base class: a model lists the fields of its base first, and the order of fields is the
order in which the reference and the CRDs explain them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..base import ListOf
from .parts import Part

__all__ = ["CountedBy", "OnMissing", "OnStoreFailure", "Shadow", "TrustHeaders"]

CountedBy = Annotated[
    ListOf[Part],
    Field(
        description="What is counted separately: consumer, model, provider, host, attribute:NAME,"
        " header:NAME. Default: nothing, all share one count."
    ),
]
OnMissing = Annotated[
    Literal["share", "deny", "skip"] | None,
    Field(
        description="What happens to requests without a value to count by. share: they share one"
        " count; deny: 403; skip: they are not counted. Default: share."
    ),
]
OnStoreFailure = Annotated[
    Literal["local", "allow", "deny"] | None,
    Field(
        description="What happens while the store is away. local: each process counts for itself;"
        " allow: requests pass; deny: 503. Default: local."
    ),
]
TrustHeaders = Annotated[
    bool,
    Field(description="Whether `by` may have headers, which a client can choose. Default: false."),
]
Shadow = Annotated[
    bool, Field(description="Whether to count and report, but refuse nobody. Default: false.")
]
