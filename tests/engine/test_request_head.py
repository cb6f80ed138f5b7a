"""The head of an upstream request on the wire."""

from __future__ import annotations

import pytest

from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.messages import UpstreamRequest
from llm_mesh_middleware._engine.http import protocols
from llm_mesh_middleware._engine.http.protocols import request_head
from llm_mesh_middleware.exceptions import RequestNotSent
from tests.rows import rows

ENDPOINT = Endpoint("api.example.com", "http", "127.0.0.1", 80, "api.example.com")


def head_with(*fields: tuple[bytes, bytes], target: str = "/v1/chat/completions") -> bytes:
    request = UpstreamRequest(ENDPOINT, "POST", target, fields, b"{}", 1.0)
    return request_head(request, target=target, fields=fields)


def test_a_head_has_its_line_its_fields_and_the_length_of_the_body() -> None:
    assert head_with((b"host", b"a"), (b"x-a", b""), (b"x-a", b"b: c")) == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-a: \r\nx-a: b: c\r\n"
        b"content-length: 2\r\n\r\n"
    )


ODD = (
    (b"x-a", b"b\r\nx-c: d"),
    (b"x-a", b"b\n"),
    (b"x-a", b"\rb"),
    (b"x-a", b"b\0c"),
    (b"x-a\r\nx-b", b"c"),
    (b"x a", b"b"),
    (b"x-a:", b"b"),
    (b"", b"b"),
    (b"x-\xe4", b"b"),
)


@rows("field", ODD)
def test_what_would_not_arrive_as_it_is_is_never_sent(field: tuple[bytes, bytes]) -> None:
    for _ in range(2):  # nothing of the first try is remembered as valid
        with pytest.raises(RequestNotSent, match="api.example.com"):
            head_with((b"host", b"a"), field)


def test_a_target_with_a_line_end_is_never_sent() -> None:
    with pytest.raises(RequestNotSent):
        head_with((b"host", b"a"), target="/v1\r\nx-a: b")


def test_names_that_clients_choose_are_remembered_within_bounds() -> None:
    for number in range(3000):
        head_with((b"x-%d" % number, b"a"))
    assert len(protocols._SENT_NAMES) <= 1024
    head_with(*((b"y-%d" % number, b"a") for number in range(3000)))
    head_with((b"z" * 100_000, b"a"))
    assert len(protocols._SENT_NAMES) <= 1024
    assert max(map(len, protocols._SENT_NAMES)) <= 1024
