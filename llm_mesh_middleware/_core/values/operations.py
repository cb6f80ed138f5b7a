"""The operations that the mesh serves, and how a client's path names one.

They are the OpenAI API's, and one of Anthropic's for providers that speak that dialect too.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...exceptions import MethodNotAllowed

__all__ = ["CHAT", "MESSAGES", "OPERATIONS", "Operation", "find_operation"]


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """One operation; those of `OPERATIONS` are all there are.

    `name` is `gen_ai.operation.name` where that convention has one. `suffix` ends the client's path
    and, behind the provider's base, makes the upstream's. `is_generation` says that the provider's
    configured model and defaults apply; an embedding model is never replaced by a chat model.
    `has_two_forms` says that an answer can be turned from JSON into events and back, so that a
    configured `stream` applies too. `asked_as` is the end of the client's path where that is more
    than the suffix. `key_field` carries the key, `names_events` says that a stream's events are
    told apart by their names; both are the dialect's own.
    """

    name: str
    suffix: str
    method: str = "POST"
    is_generation: bool = False
    has_two_forms: bool = False
    asked_as: str = ""
    key_field: bytes = b"authorization"
    names_events: bool = False

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


CHAT = Operation("chat", "/chat/completions", is_generation=True, has_two_forms=True)

# Anthropic's. The Assistants API has paths that end in `/messages` as well.
MESSAGES = Operation(
    "chat",
    "/messages",
    is_generation=True,
    asked_as="/v1/messages",
    key_field=b"x-api-key",
    names_events=True,
)

# `/chat/completions` ends with `/completions` too, so it stands first.
OPERATIONS = (
    CHAT,
    Operation("text_completion", "/completions", is_generation=True, has_two_forms=True),
    Operation("embeddings", "/embeddings"),
    Operation("responses", "/responses", is_generation=True),
    MESSAGES,
    Operation("models", "/models", method="GET"),
)


def find_operation(path: str) -> Operation | None:
    """The operation that a client's path names; `/` is chat, as ASM's own examples call it."""
    if path in ("", "/"):
        return CHAT
    for operation in OPERATIONS:
        if path.endswith(operation.asked_as or operation.suffix):
            return operation
    return None
