"""Parses a request: its operation, the members of its body, its model."""

from __future__ import annotations

from msgspec.structs import replace

from ...exceptions import UnsupportedOperation
from ..dialect import ServedOperation
from ..routing.table import VirtualHost
from ..values.messages import ClientRequest
from ..values.payload import Fields, decode_fields
from .observer import Observation

__all__ = ["understand"]

_NO_FIELDS: Fields = {}


def understand(
    host: VirtualHost, request: ClientRequest, observation: Observation
) -> tuple[ClientRequest, ServedOperation]:
    """Return the request with the members of its body and the model it names, and its operation.

    Args:
        host: the virtual host that it addresses.
        request: the request, its body complete.
        observation: notified of the parsed request, even if it cannot be served.

    Raises:
        RequestError: the path names no operation, or its method or body is invalid.
    """
    operation, fields, model = host.operation(request.path), _NO_FIELDS, None
    try:
        if operation is None:
            raise UnsupportedOperation("the path names no operation that this LLM mesh serves")
        if request.method != operation.method:
            operation.check_method(request.method)
        if operation.has_body:
            fields = decode_fields(request.body)
            model, fields = operation.model_of(request.path, fields)
    finally:
        request = replace(request, operation=operation, fields=fields, model=model)
        observation.understood(request)
    return request, operation
