"""A client of a mesh before providers that fail, and what they send whole."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from llm_mesh_middleware.testing import chat_completion
from tests.adapters.wire import CHAT, STREAMED_CHAT, Connect, Response, request_bytes
from tests.conftest import DASHSCOPE, DASHSCOPE_KEY

MeshOn = Callable[..., int]
Ask = Callable[..., Response]
LIMIT = 100_000


@pytest.fixture
def ask(mesh_on: MeshOn, connect: Connect, kind: str) -> Ask:
    """Ask a mesh that takes short answers only; nothing it says may show too much."""

    def ask(body: bytes = CHAT, **settings: object) -> Response:
        port = mesh_on(kind, max_response_bytes=LIMIT, **settings)
        response = connect(port).ask(request_bytes(DASHSCOPE, body))
        assert DASHSCOPE_KEY not in repr(response)
        assert b"127.0.0.1" not in response.body
        return response

    return ask


BODIES = pytest.mark.parametrize("body", [CHAT, STREAMED_CHAT], ids=["whole", "streamed"])
WHOLE = json.dumps(chat_completion("x" * 200)).encode()
JSON = [("content-type", "application/json")]
GZIP = [*JSON, ("content-encoding", "gzip")]
