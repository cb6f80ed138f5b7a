"""The subjects of a request, which matches test and sticky keys are read from."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .messages import ClientRequest

__all__ = ["SUBJECTS", "read_subject"]

SUBJECTS: Mapping[str, Callable[[ClientRequest, str], str | None]] = {
    "header": lambda request, key: request.headers.get(key),
    "path": lambda request, _: request.path,
    "method": lambda request, _: request.method,
    "model": lambda request, _: request.model,
    "attribute": lambda request, key: request.attributes.get(key),
}


def read_subject(kind: str, key: str, request: ClientRequest) -> str | None:
    """Return the value of a subject: a header, path, method, model or attribute."""
    return SUBJECTS[kind](request, key)
