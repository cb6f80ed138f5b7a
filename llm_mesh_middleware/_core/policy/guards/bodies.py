"""Bodies after the guards; members without a mask keep their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from ....exceptions import ContentBlocked
from ...dialect import Dialect, TextPlace
from ...guarding.guard import Guard
from ...guarding.placeholders import Placeholders
from ...guarding.window import Inspection, inspect
from ...values.lenient_json import parse_json
from ...values.messages import ClientRequest
from ...values.payload import Fields, encode_fields, raw

__all__ = [
    "OpenedRequest",
    "OpenedResponse",
    "guarded_request",
    "guarded_response",
    "is_clear_request",
    "is_clear_response",
    "is_coded",
    "masker",
]


_decode = msgspec.json.Decoder().decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def masker(values: Placeholders | None) -> Any:
    """Return the function that masks: with a number for a value to put back, else the entity."""

    def masked(guard: Guard, entity: str, value: str) -> str:
        if values is not None and guard.unmasks:
            return values.of(entity, value)
        return f"[{entity}]"

    return masked


def is_clear_request(request: ClientRequest, dialect: Dialect, guards: Iterable[Guard]) -> bool:
    """Return whether guards plainly find nothing in a request, as in most."""
    try:
        members = {name: _decode(member) for name, member in request.fields.items()}
    except _UNREADABLE:
        return False
    texts = dialect.texts.candidate_texts(members, is_response=False)
    return texts is not None and _are_clear(texts, guards)


def is_clear_response(body: bytes, dialect: Dialect, guards: Iterable[Guard]) -> bool:
    """Return whether guards plainly find nothing in a whole body that is JSON."""
    try:
        value = _decode(body)
    except _UNREADABLE:
        return False
    texts = dialect.texts.candidate_texts(value, is_response=True)
    return texts is not None and _are_clear(texts, guards)


def _are_clear(texts: Sequence[str], guards: Iterable[Guard]) -> bool:
    # A generator would cost more than the loop.
    for guard in guards:  # noqa: SIM110
        if not guard.scanner.is_clear(texts):
            return False
    return True


class OpenedRequest:
    """A request with its texts taken out, to be asked about."""

    def __init__(
        self, request: ClientRequest, dialect: Dialect, roles: frozenset[str] | None
    ) -> None:
        self._request = request
        self._members = {name: _decoded(bytes(raw)) for name, raw in request.fields.items()}
        self._names: list[str] = []
        self.places: list[TextPlace] = []
        for name, value in self._members.items():
            for place in dialect.texts.read_request({name: value}, roles):
                self._names.append(name)
                self.places.append(place)

    def with_texts(self, texts: Sequence[str]) -> ClientRequest:
        """Return the request with other texts, the same one if none differs."""
        changed: Fields = {}
        for name, place, text in zip(self._names, self.places, texts, strict=True):
            if text != place.text:
                place.put(text)
                changed[name] = self._members[name]
        return _with_members(self._request, {name: raw(changed[name]) for name in changed})


def guarded_request(
    request: ClientRequest, dialect: Dialect, inspection: Inspection
) -> ClientRequest:
    """Return the request with its texts masked, the same one if none is.

    Raises:
        ContentBlocked: a guard denies it.
    """
    changed: Fields = {}
    for name, member in request.fields.items():
        members = {name: _decoded(bytes(member))}
        if _mask_by_role(dialect, members, inspection):
            changed[name] = raw(members[name])
    return _with_members(request, changed)


def _with_members(request: ClientRequest, changed: Fields) -> ClientRequest:
    if not changed:
        return request
    fields = {**request.fields, **changed}
    return replace(request, fields=fields, body=encode_fields(fields))


class OpenedResponse:
    """A whole response with its texts taken out; without JSON it is one text."""

    def __init__(self, body: bytes, dialect: Dialect) -> None:
        self._body, self._texts = body, dialect.texts
        try:
            self._value = _decoded(body)
        except ValueError:
            self._value = None
            self.places = [TextPlace([body.decode("utf-8", "replace")], 0)]
        else:
            self.places = list(dialect.texts.read_response(self._value))

    def with_texts(self, texts: Sequence[str]) -> bytes:
        """Return the body with other texts.

        Raises:
            ContentBlocked: a text differs, and the response is not JSON.
        """
        is_changed = False
        for place, text in zip(self.places, texts, strict=True):
            if text != place.text:
                place.put(text)
                is_changed = True
        if not is_changed:
            return self._body
        if self._value is None:
            raise ContentBlocked("the response is not JSON and cannot be masked")
        self._texts.drop_repetitions(self._value)
        return msgspec.json.encode(self._value)


def guarded_response(body: bytes, dialect: Dialect, inspection: Inspection) -> bytes:
    """Return a whole body with its texts masked.

    Raises:
        ContentBlocked: a guard denies it, or it is not JSON and would have to be masked.
    """
    opened = OpenedResponse(body, dialect)
    texts = [inspect(each.text, inspection, is_json=each.is_json) for each in opened.places]
    return opened.with_texts(texts)


def is_coded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a body is compressed in a way that the mesh cannot read."""
    return any(name == b"content-encoding" and value != b"identity" for name, value in headers)


def _decoded(data: bytes) -> Any:
    try:
        return _decode(data)
    except _UNREADABLE:
        return parse_json(data)


def _mask(places: Iterable[TextPlace], inspection: Inspection) -> bool:
    has_changed = False
    for place in places:
        text = inspect(place.text, inspection, is_json=place.is_json)
        if text != place.text:
            place.put(text)
            has_changed = True
    return has_changed


def _mask_by_role(dialect: Dialect, members: dict[str, Any], inspection: Inspection) -> bool:
    """Mask the texts of a request: each guard sees those of its roles."""
    has_changed = False
    for roles, guards in _by_roles(inspection.guards):
        places = dialect.texts.read_request(members, roles)
        has_changed |= _mask(places, replace(inspection, guards=guards))
    return has_changed


def _by_roles(guards: Iterable[Guard]) -> list[tuple[frozenset[str] | None, list[Guard]]]:
    """Return neighbouring guards of the same roles together, in their order."""
    groups: list[tuple[frozenset[str] | None, list[Guard]]] = []
    for guard in guards:
        if not groups or groups[-1][0] != guard.roles:
            groups.append((guard.roles, []))
        groups[-1][1].append(guard)
    return groups
