"""An operation: one kind of request that an API serves."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import force_setattr

from .payload import Fields

__all__ = ["Operation"]


def _no_output_limit(fields: Fields) -> int | None:
    return None


class Operation(msgspec.Struct, frozen=True, eq=False):
    """One operation, as requests and providers name it.

    `name` is `gen_ai.operation.name` where that convention has one. `suffix` ends the client's path
    and, behind the provider's base, makes the upstream's. `is_generation` says that the provider's
    configured model and defaults apply, so an embedding model is not replaced by a chat model.
    `has_two_forms` says that a response can be converted from JSON to events and back, so that a
    configured `stream` applies too. `client_suffix` is the end of the client's path where it is
    longer than the suffix. `output_limit` reads the most tokens that a request allows for the
    response. `continues_by` is the member by which a request continues an earlier response that its
    provider stores. `has_body`: a request carries a JSON object.
    """

    name: str
    suffix: str
    method: str = "POST"
    is_generation: bool = False
    has_two_forms: bool = False
    client_suffix: str = ""
    output_limit: Callable[[Fields], int | None] = _no_output_limit
    continues_by: str = ""
    has_body: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "has_body", self.method == "POST")
