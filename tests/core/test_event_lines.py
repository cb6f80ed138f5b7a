"""Name and data of an event, in the usual form and in the odd ones."""

from __future__ import annotations

from llm_mesh_middleware._core.http.sse import event_data, event_name, event_parts
from tests.rows import rows

EVENTS = [
    (b"event: ping\ndata: {}\n\n", b"ping", b"{}"),
    (b"event: ping\r\ndata: {}\r\n\r\n", b"ping", b"{}"),
    (b"event:ping\ndata:{}\n\n", b"ping", b"{}"),
    (b"event: a\ndata: {\ndata: }\n\n", b"a", b"{\n}"),
    (b"event: a\nid: 1\ndata: {}\n\n", b"a", b"{}"),
    (b"event: a\ndata: {}\nid: 1\n\n", b"a", b"{}"),
    (b"event: a\ndata: {}\nevent: b\n\n", b"b", b"{}"),
    (b"event: a\n\n", b"a", b""),
    (b"event: a\ndata: {}", b"a", b"{}"),
    (b"event: a\ndata: x\ry\n\n", b"a", b"x"),
    (b"event: \ndata: {}\n\n", b"", b"{}"),
    (b"data: {}\nevent: a\n\n", b"a", b"{}"),
    (b"data: {}\n\n", b"", b"{}"),
    (b"data: {\ndata: }\n\n", b"", b"{\n}"),
    (b"data: {\ndata: }\n", b"", b"{\n}"),
    (b"event: a\ndata: {\ndata: }\n", b"a", b"{\n}"),
    (b"\xef\xbb\xbfdata: {}\n\n", b"", b"{}"),
    (b"\xef\xbb\xbfevent: a\ndata: {}\n\n", b"a", b"{}"),
    (b": a comment\n\n", b"", b""),
    (b"\n\n", b"", b""),
    (b"", b"", b""),
]


@rows(("event", "name", "data"), EVENTS)
def test_an_event_is_read_as_the_standard_says(event: bytes, name: bytes, data: bytes) -> None:
    assert (event_name(event), event_data(event)) == (name, data)


@rows(("event", "name", "data"), EVENTS)
def test_both_are_the_same_in_one_go(event: bytes, name: bytes, data: bytes) -> None:
    assert event_parts(event) == ((name, data) if data else (b"", b""))
