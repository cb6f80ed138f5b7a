"""Bodies as guards let them pass; members without a mask keep their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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

__all__ = ["guarded_request", "guarded_response", "is_coded", "masker"]


def masker(values: Placeholders | None) -> Any:
    """Return what makes the masks: a number for a value that is put back, else the entity."""

    def masked(guard: Guard, entity: str, value: str) -> str:
        if values is not None and guard.unmasks:
            return values.of(entity, value)
        return f"[{entity}]"

    return masked


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
    if not changed:
        return request
    fields: Mapping[str, msgspec.Raw] = {**request.fields, **changed}
    return replace(request, fields=dict(fields), body=encode_fields(fields))


def guarded_response(body: bytes, dialect: Dialect, inspection: Inspection) -> bytes:
    """Return a whole body with its texts masked.

    Raises:
        ContentBlocked: a guard denies it, or it is no JSON and would have to be masked.
    """
    try:
        value = _decoded(body)
    except ValueError:
        text = body.decode("utf-8", "replace")
        if inspect(text, inspection) != text:
            raise ContentBlocked("the response is not JSON and cannot be masked") from None
        return body
    if not _mask(dialect.texts.read_response(value), inspection):
        return body
    return msgspec.json.encode(value)


def is_coded(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Return whether a body is compressed in a way that nobody here can read."""
    return any(name == b"content-encoding" and value != b"identity" for name, value in headers)


def _decoded(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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
