"""Reads a client's contents into the neutral form.

Google's calls need no ids: a response belongs to the call with its id, otherwise to the first call
of its name without a response. A call without an id gets one by its position, which is the same in
every request of a conversation.

Google's SDK keeps each event of a stream as a content of its own. Neighbours of the model are one
turn, and the pieces of a thought, the last of which is its signature, are one thought.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec.structs import replace

from ...._core.conversation.parts import (
    Audio,
    Document,
    Image,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
)
from ...._core.conversation.request import Turn
from ...translation.requests import malformed, unsupported
from ..signatures import open_signature, standard_base64
from . import request_shapes as shapes

__all__ = ["read_system", "read_turns"]

_ROLES = (None, "user", "model", "function")

_decode_response = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


def read_system(content: shapes.Content | None) -> Iterator[Text]:
    """Yield the instructions."""
    for part in (content.parts or ()) if content is not None else ():
        if part.text:
            yield Text(part.text)


def read_turns(contents: Iterable[shapes.Content]) -> Iterator[Turn]:
    """Yield the turns.

    Raises:
        MalformedRequest: A role is unknown.
        UnsupportedField: No other dialect has this kind of part.
    """
    calls, said = _Calls(), list[Part]()
    for index, content in enumerate(contents):
        where = f"contents[{index}]"
        if content.role not in _ROLES:
            raise malformed(f"{where}.role", f"{content.role!r} is neither user nor model")
        parts: list[Part] = []
        for at, part in enumerate(content.parts or ()):
            parts += _read(part, f"{where}.parts[{at}]", calls)
        if content.role == "model":
            said += parts
            continue
        if said:
            yield Turn("assistant", tuple(_with_whole_thoughts(said)))
            said = []
        results = [part for part in parts if isinstance(part, ToolResult)]
        others = [part for part in parts if not isinstance(part, ToolResult)]
        yield Turn("user", (*results, *others))
    if said:
        yield Turn("assistant", tuple(_with_whole_thoughts(said)))


def _with_whole_thoughts(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield the parts; thoughts without a proof are joined with what follows of them."""
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, Reasoning) and not part.is_redacted:
            if part.proof is None:
                pieces.append(part.text)
                continue
            if pieces and not part.text:
                part = replace(part, text="".join(pieces))
                pieces = []
        if pieces:
            yield Reasoning("".join(pieces))
            pieces = []
        yield part
    if pieces:
        yield Reasoning("".join(pieces))


class _Calls:
    """The calls without a response so far."""

    def __init__(self) -> None:
        self._open: list[tuple[str, str]] = []
        self._count = 0

    def add(self, call: shapes.Call) -> str:
        """Return the id of a call."""
        self._count += 1
        id = call.id or f"call_{self._count}"
        self._open.append((id, call.name))
        return id

    def answer(self, result: shapes.Result) -> tuple[str, str]:
        """Return id and name of the call that a response belongs to."""
        by_id = (call for call in self._open if call[0] == result.id)
        by_name = (call for call in self._open if call[1] == result.name and not result.id)
        found = next(by_id, None) or next(by_name, None)
        if found is None:
            return result.id or f"call_of_{result.name}", result.name
        self._open.remove(found)
        return found


def _read(part: shapes.Part, where: str, calls: _Calls) -> Iterator[Part]:
    proof, is_redacted = open_signature(part.thought_signature)
    if part.function_call is not None:
        call = part.function_call
        arguments = "{}" if call.args is msgspec.UNSET else bytes(call.args).decode()
        yield ToolCall(calls.add(call), call.name, arguments, proof=proof)
        return
    if part.function_response is not None:
        yield _result(part.function_response, where, calls)
        return
    if part.thought:
        yield Reasoning(part.text or "", proof, is_redacted)
        return
    medium = _medium(part, where) if part.text is None else None
    if isinstance(medium, Image):
        yield medium if proof is None else replace(medium, proof=proof)
        return
    if proof is not None:
        yield Reasoning("", proof, is_redacted)
    if part.text is not None:
        yield Text(part.text)
    elif medium is not None:
        yield medium
    elif proof is None:
        raise unsupported(where, "is of a kind that cannot be translated")


def _medium(part: shapes.Part | shapes.ResultPart, where: str) -> Part | None:
    if part.inline_data is not None:
        return _inline(part.inline_data, where)
    if part.file_data is None:
        return None
    media_type, url = part.file_data.mime_type, part.file_data.file_uri
    if media_type.startswith(("application/", "text/")):
        return Document(media_type, url=url)
    if media_type.startswith(("audio/", "video/")):
        raise unsupported(f"{where}.fileData", f"of the type {media_type!r} cannot be translated")
    return Image(media_type, url=url)


def _inline(blob: shapes.Blob, where: str) -> Part:
    kind, _, form = blob.mime_type.partition("/")
    data = standard_base64(blob.data)
    match kind:
        case "image":
            return Image(blob.mime_type, data)
        case "audio":
            return Audio(form, data)
        case "application" | "text":
            return Document(blob.mime_type, data)
    raise unsupported(f"{where}.inlineData", f"of the type {blob.mime_type!r} cannot be translated")


def _result(result: shapes.Result, where: str, calls: _Calls) -> ToolResult:
    id, name = calls.answer(result)
    text, is_error = _read_response(result.response)
    parts: list[Part] = [Text(text)]
    for at, part in enumerate(result.parts or ()):
        place = f"{where}.functionResponse.parts[{at}]"
        if (medium := _medium(part, place)) is None:
            raise unsupported(place, "is of a kind that cannot be translated")
        parts.append(medium)
    return ToolResult(id, tuple(parts), name, is_error)


def _read_response(response: shapes.Raw) -> tuple[str, bool]:
    """Return a response as text, and whether it is an error.

    By Google's convention a single member `output` or `error` contains the whole response. Anything
    else is passed to the model as JSON.
    """
    if response is msgspec.UNSET:
        return "", False
    raw = bytes(response)
    try:
        members = _decode_response(raw)
    except msgspec.DecodeError:
        return raw.decode(), False
    is_error = members.keys() == {"error"}
    if not is_error and members.keys() != {"output"}:
        return raw.decode(), False
    (value,) = members.values()
    try:
        return _decode_text(value), is_error
    except msgspec.DecodeError:
        return bytes(value).decode(), is_error
