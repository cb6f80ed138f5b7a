"""Fields that limits and budgets share.

They are types, not a base class: fields of a base come first, and the reference and the CRDs list
fields in their order.
"""

from typing import Annotated, Literal

from pydantic import Field

from ..base import ListOf
from .parts import Part

__all__ = ["CountedBy", "OnMissing", "OnStoreFailure", "Shadow", "TrustHeaders"]

CountedBy = Annotated[
    ListOf[Part],
    Field(
        description="What to count separately: consumer, model, provider, host, attribute:NAME,"
        " header:NAME. Default: nothing; all share one count."
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
        description="What happens while the store is away. local: each process counts alone;"
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
