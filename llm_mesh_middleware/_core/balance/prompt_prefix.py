"""The prefix of a conversation's prompt, which all of its turns share."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from ..dialect import ServedOperation
from ..values.messages import ClientRequest

__all__ = ["prefix_digest"]

# The characters of each text in the digest: texts that differ later still share a cached prefix.
_MAX_TEXT = 1024
_INSTRUCTIONS = frozenset(("system", "developer"))
_FIRST = frozenset(("user",))


def prefix_digest(call: ClientRequest) -> bytes | None:
    """Return a digest of the model, the instructions and the first message; None without one."""
    operation = call.operation
    if not isinstance(operation, ServedOperation) or not operation.is_generation:
        return None
    try:
        members = {name: msgspec.json.decode(value) for name, value in call.fields.items()}
    except (msgspec.MsgspecError, RecursionError):
        return None
    read = operation.dialect.texts.read_request
    first = next(read(members, _FIRST), None)
    if first is None:
        return None
    instructions = next(read(members, _INSTRUCTIONS), None)
    texts = (call.model or "", "" if instructions is None else instructions.text, first.text)
    data = "\0".join(text[:_MAX_TEXT] for text in texts)
    return blake2b(data.encode("utf-8", "surrogatepass"), digest_size=16).digest()
