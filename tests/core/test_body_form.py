"""The form of a body is told by its first bytes."""

from __future__ import annotations

from llm_mesh_middleware._core.http.body_form import BodyForm, body_form
from tests.rows import rows

BOM = b"\xef\xbb\xbf"


@rows(
    ("body", "form"),
    [
        (b"data: {}\n\n", BodyForm.EVENTS),
        (b"data:{}", BodyForm.EVENTS),
        (b"data\n\n", BodyForm.EVENTS),
        (b"event: x\n", BodyForm.EVENTS),
        (b"id:1\n", BodyForm.EVENTS),
        (b"retry: 5\r\n", BodyForm.EVENTS),
        (b": OPENROUTER PROCESSING\n\n", BodyForm.EVENTS),
        (b"\n\n\r\n data: x", BodyForm.EVENTS),
        (BOM + b"data: x", BodyForm.EVENTS),
        (b'{"a":1}', BodyForm.JSON),
        (b" \t\r\n[", BodyForm.JSON),
        (b'"text"', BodyForm.JSON),
        (BOM + b"{", BodyForm.JSON),
        (b"<html>", BodyForm.OTHER),
        (b"database error", BodyForm.OTHER),
        (b"idle", BodyForm.OTHER),
        (b"upstream error", BodyForm.OTHER),
        (b"\xff\xfe", BodyForm.OTHER),
    ],
)
def test_the_form_is_known_at_the_latest_with_the_last_byte(body: bytes, form: BodyForm) -> None:
    seen = [body_form(body[:size]) for size in range(len(body) + 1)]
    assert seen[-1] is form
    known = [one for one in seen if one is not None]
    assert set(known) == {form}


@rows("begin", [b"", b"\n", b" \r\n", BOM, BOM[:1], BOM + b"\n", b"d", b"dat"])
def test_more_bytes_may_be_needed(begin: bytes) -> None:
    assert body_form(begin) is None
