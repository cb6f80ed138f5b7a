"""What the servers under test load: an application behind the middleware, all by `LLM_MESH_*`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from llm_mesh_middleware import LLMMeshWSGIMiddleware


def own_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The process that answers, for a request that is not the mesh's."""
    body = b"%d" % os.getpid()
    start_response("200 OK", [("content-length", str(len(body))), ("content-type", "text/plain")])
    return [body]


application = LLMMeshWSGIMiddleware(own_app)
