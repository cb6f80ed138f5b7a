"""The explain form: reads what the page sends, returns what it shows, stores nothing."""

from __future__ import annotations

import msgspec

from ..._core.values.headers import Headers
from ...explain import read_header
from ...mesh import Mesh
from .copies import AskedRequest, as_command, as_curl, as_pytest
from .gate import Refusal

__all__ = ["MAX_BYTES", "explain_form"]

MAX_BYTES = 64 * 1024


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    host: str
    path: str = "/"
    method: str = ""
    headers: list[tuple[str, str]] = []
    attributes: dict[str, str] = {}
    body: str = "{}"


_decode = msgspec.json.Decoder(_Form).decode


def explain_form(mesh: Mesh, sent: bytes) -> bytes:
    """Explain the request in a form; return JSON with the explanation and the texts to copy.

    Raises:
        Refusal: a field is missing or invalid.
    """
    try:
        form = _decode(sent)
        headers = [read_header(f"{name}: {value}") for name, value in form.headers]
    except (ValueError, msgspec.DecodeError) as exc:
        text = (
            "the body is not a valid request to explain"
            if isinstance(exc, msgspec.MsgspecError)
            else str(exc)
        )
        raise Refusal(400, text) from None
    asked = AskedRequest(
        host=form.host,
        path=form.path,
        method=form.method,
        headers=headers,
        attributes=form.attributes,
        body=form.body,
        consumer=mesh.access.consumer(_fields(headers)),
    )
    explanation = mesh.explain(
        asked.host,
        path=asked.path,
        method=asked.method,
        headers=headers,
        body=asked.body.encode("utf-8", "replace"),
        attributes=asked.attributes,
    )
    shown = {
        "explanation": explanation.as_dict(),
        "text": explanation.to_text(),
        "copies": {
            "curl": as_curl(asked, explanation),
            "command": as_command(asked),
            "pytest": as_pytest(asked, explanation, mesh.settings),
        },
    }
    return msgspec.json.encode(shown)


def _fields(headers: list[tuple[str, str]]) -> Headers:
    return Headers([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
