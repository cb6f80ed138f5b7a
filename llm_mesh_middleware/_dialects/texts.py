"""Finds texts in JSON: everywhere, except in members that are known to have other content.

A string in an unknown member counts as a text, so that guards check it.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from .._core.dialect import TextPlace
from .._core.texts import NamePlace, NumberPlace

__all__ = [
    "ResponseTexts",
    "has_no_text",
    "is_text",
    "last_texts",
    "place_of",
    "response_texts_in",
    "texts_in",
    "texts_of_turns",
]

# Members that no dialect uses for text: names, references, opaque proofs, encoded media.
_OPAQUE = frozenset(
    (
        "b64_json",
        "call_id",
        "embedding",
        "encrypted_content",
        "file_data",
        "file_id",
        "finishReason",
        "finish_reason",
        "format",
        "id",
        "item_id",
        "media_type",
        "mimeType",
        "mime_type",
        "modality",
        "model",
        "modelVersion",
        "obfuscation",
        "object",
        "partial_image_b64",
        "previous_response_id",
        "responseId",
        "role",
        "service_tier",
        "signature",
        "status",
        "system_fingerprint",
        "thoughtSignature",
        "tool_call_id",
        "tool_use_id",
        "trafficType",
        "type",
    )
)
_JSON = frozenset(("arguments", "partial_json"))
# Objects whose members are named by tools and clients.
_FREE = frozenset(
    (
        "args",
        "arguments",
        "env",
        "functionResponse",
        "function_response",
        "input",
        "metadata",
        "parameters",
        "schema",
        "variables",
    )
)
# In them, a name without digits is the name of a member, a short number an amount.
_NAME = re.compile(r"[A-Za-z_$.-]*")
_LONG_NUMBER = 10**6
# Probabilities of tokens, which repeat the text in pieces.
_REPEATING = frozenset(("logprobs", "logprobsResult"))
# Kinds of parts that are nothing but a text.
_PLAIN = frozenset(("text", "input_text"))
_NUMBERS = frozenset((bool, float, int))
_MEDIA = frozenset(("file_data", "image_url", "url"))
# Members with a text or with encoded media; what is beside them tells.
_EITHER = frozenset((*_MEDIA, "data", "result"))


class ResponseTexts:
    """The texts of responses, in any dialect."""

    def read_response(self, value: Any) -> Iterator[TextPlace]:
        """Yield the texts of every choice, item, block or candidate, and of other members."""
        return response_texts_in(value) if isinstance(value, dict | list) else iter(())

    def candidate_texts(self, value: Any, *, is_response: bool) -> list[str] | None:
        """Return all strings except names and references, in one pass without their places."""
        found: list[str] = []
        pending, skipped = [value], _REPEATING if is_response else frozenset()
        while pending:
            here = pending.pop()
            if here.__class__ is dict:
                for key, item in here.items():
                    kind = item.__class__
                    if kind is str:
                        if key not in _OPAQUE and (key not in _EITHER or is_text(here, key, item)):
                            if key in _JSON and "\\" in item:
                                return None
                            found.append(item)
                    elif kind is dict:
                        if key in _FREE:
                            found += [place.text for place in texts_in({key: item})]
                        else:
                            pending.append(item)
                    elif kind is list and key not in skipped:
                        pending.append(item)
            elif here.__class__ is list:
                for item in here:
                    if item.__class__ is str:
                        found.append(item)
                    else:
                        pending.append(item)
        return found

    def drop_repetitions(self, value: Any) -> None:
        """Drop members that repeat the texts in another form, because one of them is masked."""
        pending = [value]
        while pending:
            here = pending.pop()
            if isinstance(here, list):
                pending += here
            elif isinstance(here, dict):
                for name in _REPEATING & here.keys():
                    here[name] = [] if isinstance(here[name], list) else None
                pending += [item for key, item in here.items() if key not in _FREE]


def response_texts_in(value: Any, *, but: Container[str] = ()) -> Iterator[TextPlace]:
    """Yield every text of a part of a response, each once; `but` as in `texts_in`."""
    return texts_in(value, but=but, repeating=_REPEATING)


def texts_in(
    value: Any, *, but: Container[str] = (), repeating: Container[str] = ()
) -> Iterator[TextPlace]:
    """Yield every text below an object or an array.

    Where tools and clients name the members, long numbers are texts too, and names with digits or
    with what names do not have. The name of a member is yielded behind its value.

    Args:
        value: the object or array.
        but: members of it to skip.
        repeating: members to skip wherever they are.
    """
    pending = [(value, False)]
    while pending:
        here, is_free = pending.pop()
        nested: list[tuple[Any, bool]] = []
        is_dict = here.__class__ is dict
        # A copy: names may be replaced meanwhile.
        for key, item in list(here.items()) if is_dict else enumerate(here):
            kind = item.__class__
            if kind is str:
                if item and (is_free or is_text(here, key, item)) and key not in but:
                    yield TextPlace(here, key, key in _JSON)
            elif kind is int:
                if is_free and abs(item) >= _LONG_NUMBER:
                    yield NumberPlace(here, key)
            elif kind is dict or kind is list:
                if key in but or (key in repeating and not is_free):
                    continue
                nested.append((item, is_free or (kind is dict and key in _FREE)))
            if is_free and is_dict and _NAME.fullmatch(str(key)) is None:
                yield NamePlace(here, key)
        but = ()
        pending += reversed(nested)


def place_of(container: Any, key: str | int) -> TextPlace:
    """Return the place of a text."""
    return TextPlace(container, key, key in _JSON)


def is_text(container: Any, key: Any, item: str) -> bool:
    """Return whether a string is a text, not a name, a reference or encoded media."""
    if key == "data":  # base64, unless a document says that it is text
        return bool(container.get("type") == "text")
    if key == "result":
        return bool(container.get("type") != "image_generation_call")
    return key not in _OPAQUE and not (key in _MEDIA and item.startswith("data:"))


def has_no_text(value: dict[str, Any], *, but: str) -> bool:
    """Return whether no member of an object, except one, is or contains a text.

    For most events this is true, and cheaper than a search for their texts.
    """
    for key, item in value.items():
        kind = item.__class__
        if item and key != but and not (key in _OPAQUE if kind is str else kind in _NUMBERS):
            return False
    return True


def texts_of_turns(
    members: dict[str, Any],
    roles: Container[str] | None,
    *,
    turns: str,
    others: Mapping[str, str],
    kinds: Mapping[str, str],
) -> Iterator[TextPlace]:
    """Yield the texts of a request.

    Args:
        members: the decoded members of the body.
        roles: the roles whose texts are yielded; None for every text.
        turns: the member with the turns.
        others: the roles of other members.
        kinds: the roles of turns that have a `type` and no role.
    """
    if roles is None:
        yield from texts_in(members)
        return
    for name, role in others.items():
        if name in members and role in roles:
            yield from _below(members, name)
    held = members.get(turns)
    if isinstance(held, str):
        if "user" in roles:
            yield from _below(members, turns)
        return
    for index, turn in enumerate(held if isinstance(held, list) else ()):
        role = "user"
        if isinstance(turn, dict):
            role = turn.get("role") or kinds.get(str(turn.get("type")), "user")
        if role in roles:
            yield from _below(held, index)


def last_texts(members: dict[str, Any], *, turns: str) -> list[TextPlace]:
    """Return the texts of the last turn; none unless it is a user's, and nothing but texts."""
    held = members.get(turns)
    if isinstance(held, str):
        return [TextPlace(members, turns)]
    turn = held[-1] if isinstance(held, list) and held else None
    if not isinstance(turn, dict) or turn.get("role") != "user":
        return []
    content = turn.get("content")
    if isinstance(content, str):
        return [TextPlace(turn, "content")]
    parts = content if isinstance(content, list) else []
    is_plain = all(
        isinstance(part, dict) and part.get("type") in _PLAIN and isinstance(part.get("text"), str)
        for part in parts
    )
    return [TextPlace(part, "text") for part in parts] if is_plain else []


def _below(container: Any, key: Any) -> Iterator[TextPlace]:
    value = container[key]
    if isinstance(value, str):
        yield TextPlace(container, key)
    elif isinstance(value, dict | list):
        yield from texts_in(value)
