"""An operation that the mesh serves: one kind of request of one dialect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...exceptions import MethodNotAllowed
from .headers import Headers

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
    than the suffix. `write_models` makes the reply to a question about models: from the request's
    headers, its path, and the names that are known; None if the one it asks for is not among them.
    """

    name: str
    suffix: str
    dialect: Dialect
    method: str = "POST"
    is_generation: bool = False
    has_two_forms: bool = False
    asked_as: str = ""
    write_models: Callable[[Headers, str, Sequence[str]], bytes | None] | None = None

    @property
    def has_body(self) -> bool:
        """Whether a request of this operation carries a JSON object."""
        return self.method == "POST"

    def check_method(self, method: str, *, allow_head: bool = True) -> None:
        """Raise `MethodNotAllowed` unless the operation is served under `method`."""
        if allow_head and method == "HEAD" and self.write_models is not None:
            return
        if method != self.method:
            raise MethodNotAllowed(
                f"{self.suffix} is served under {self.method}, not {method[:16]}", allow=self.method
            )
