"""What Django does to a request on its way to the mesh, and the mesh takes as it came."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from llm_mesh_middleware.testing import Answer, FakeUpstream
from tests.contract.calling import QUESTION
from tests.django.meshes import make_mesh
from tests.django.project import make_wsgi


def environ_of(body: bytes, *, has_length: bool = True) -> dict[str, Any]:
    """A request as gunicorn hands it over."""
    length = {"CONTENT_LENGTH": str(len(body))} if has_length else {}
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/v1/chat/completions",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "llm",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "llm",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.url_scheme": "http",
        **length,
    }


def ask(upstream: FakeUpstream, environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
    told: list[Any] = []
    mesh = make_mesh(upstream)
    answer = make_wsgi(b"", mesh)(environ, lambda *head: told.extend(head))
    body = b"".join(answer)
    answer.close()
    mesh.close()
    status, headers = told
    return status, dict(headers), body


@pytest.mark.parametrize("has_length", [True, False])
def test_a_body_is_read_with_a_length_or_without(upstream: FakeUpstream, has_length: bool) -> None:
    environ = environ_of(json.dumps(QUESTION).encode(), has_length=has_length)
    status, _, body = ask(upstream, environ)
    assert status == "200 OK"
    assert json.loads(body)["object"] == "chat.completion"


def test_an_answer_has_the_fields_of_the_provider_and_none_of_djangos_own(
    upstream: FakeUpstream,
) -> None:
    upstream.script(Answer(200, [("x-request-id", "r-1"), ("x-request-id", "r-2")], b"{}"))
    _, headers, body = ask(upstream, environ_of(json.dumps(QUESTION).encode()))
    assert body == b"{}"
    assert headers["x-request-id"] == "r-1, r-2"
    # The provider named none; the mesh says what it has read.
    assert headers["content-type"] == "application/json"
