"""What Django does to a request on its way to the mesh, and the mesh takes as it came."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from llm_mesh_middleware.testing import FakeUpstream
from tests.contract.calling import QUESTION
from tests.django.meshes import make_mesh
from tests.django.project import make_wsgi


@pytest.mark.parametrize("length", [True, False], ids=["length", "chunked"])
def test_a_body_is_read_with_a_length_or_without(upstream: FakeUpstream, length: bool) -> None:
    body = json.dumps(QUESTION).encode()
    environ: dict[str, Any] = {
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
    }
    if length:
        environ["CONTENT_LENGTH"] = str(len(body))
    mesh, told = make_mesh(upstream), []
    answer = make_wsgi(b"", mesh)(environ, lambda status, headers: told.append(status))
    assert told == ["200 OK"]
    assert json.loads(b"".join(answer))["object"] == "chat.completion"
    answer.close()
    mesh.close()
