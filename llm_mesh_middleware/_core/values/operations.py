"""An operation that the mesh serves: one kind of request of one dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...exceptions import MethodNotAllowed

if TYPE_CHECKING:
    from ..dialect import Dialect

__all__ = ["Operation"]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation; the packages in `_dialects` define all there are.

    `name` is `gen_ai.operation.name` where that convention has one. `suffix` ends the client's path
    and, behind the provider's base, makes the upstream's. `is_generation` says that the provider's
    configured model and defaults apply; an embedding model is never replaced by a chat model.
    `has_two_forms` says that a response can be converted from JSON to events and back, so that a
    configured `stream` applies too. `asked_as` is the end of the client's path where that is more
    than the suffix.
    """

    name: str
    suffix: str
    dialect: Dialect
    method: str = "POST"
    is_generation: bool = False
    has_two_forms: bool = False
    asked_as: str = ""

    @property
    def has_body(self) -> bool:
        """Whether a request of this operation carries a JSON object."""
        return self.method == "POST"

    def check_method(self, method: str) -> None:
        """Raise `MethodNotAllowed` unless the operation is served under `method`."""
        if method != self.method:
            raise MethodNotAllowed(
                f"{self.suffix} is served under {self.method}, not {method[:16]}", allow=self.method
            )
