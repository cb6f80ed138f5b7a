"""Header fields between a client of one vendor and a provider of another."""

from __future__ import annotations

from collections.abc import Collection

from ..._core.http.response_headers import client_headers
from ..._core.values.messages import ResponseHead
from ..same.fields import RawFields

__all__ = ["provider_fields", "client_fields"]

Fields = tuple[tuple[bytes, bytes], ...]

# Fields of one vendor, which another ignores or rejects.
_VENDORS_FIELDS = (b"anthropic-", b"openai-", b"x-dashscope-", b"x-stainless-")
# The fields in which providers send the id of a request, best first.
_REQUEST_IDS = (b"request-id", b"x-request-id", b"x-amzn-requestid", b"apim-request-id")
# Fields that describe the provider's own body.
_OF_THE_BODY = (b"content-length", b"content-encoding", b"content-type")


def provider_fields(
    fields: Fields, configured: Collection[tuple[bytes, bytes]], own: Fields
) -> Fields:
    """Return a client's fields without its vendor's, and with those of the provider's dialect."""
    set_here = frozenset(configured)
    kept = tuple(
        field for field in fields if field in set_here or not field[0].startswith(_VENDORS_FIELDS)
    )
    names = {name for name, _ in kept}
    return (*kept, *[field for field in own if field[0] not in names])


def client_fields(head: ResponseHead, id_field: bytes) -> RawFields:
    """Return a provider's fields that the client gets, except those about the body.

    Args:
        head: the head of the response.
        id_field: the field in which the client's SDK expects the id of a request; may be empty.
    """
    fields = [field for field in client_headers(head.headers) if field[0] not in _OF_THE_BODY]
    known = dict(fields)
    id = next((known[name] for name in _REQUEST_IDS if name in known), None)
    if id is not None and id_field and id_field not in known:
        fields.append((id_field, id))
    return fields
