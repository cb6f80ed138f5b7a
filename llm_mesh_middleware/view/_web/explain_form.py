"""The explain form: from what the page sends to what it shows. Nothing of it is kept."""

from __future__ import annotations

import msgspec

from ..._core.values.headers import Headers
from ...explain import read_header
from ...mesh import Mesh
from .copies import AskedRequest, as_command, as_curl, as_pytest
from .gate import Refusal

__all__ = ["MAX_BYTES", "answer"]

MAX_BYTES = 64 * 1024


class _Form(msgspec.Struct, forbid_unknown_fields=True):
    host: str
    path: str = "/"
    method: str = ""
    headers: list[tuple[str, str]] = []
    attributes: dict[str, str] = {}
    body: str = "{}"


def answer(mesh: Mesh, sent: bytes) -> bytes:
    """Explain a request and return it as JSON, with the texts to copy.

    Raises:
        Refusal: the form is filled in wrongly.
    """
    try:
        form = msgspec.json.decode(sent, type=_Form)
        headers = [read_header(f"{name}: {value}") for name, value in form.headers]
    except (ValueError, msgspec.DecodeError) as exc:
        text = (
            "this is not a request to explain"
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
    told = {
        "explanation": explanation.as_dict(),
        "text": explanation.to_text(),
        "copies": {
            "curl": as_curl(asked, explanation),
            "command": as_command(asked),
            "pytest": as_pytest(asked, explanation, mesh.settings),
        },
    }
    return msgspec.json.encode(told)


def _fields(headers: list[tuple[str, str]]) -> Headers:
    return Headers([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
