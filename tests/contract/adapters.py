"""Every way into a mesh, as a factory; the tests of this folder run through all of them.

Another adapter joins by a class in `ADAPTERS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, ClassVar, Protocol

from llm_mesh_middleware import LLMMeshMiddleware, LLMMeshWSGIMiddleware, Mesh
from llm_mesh_middleware.cli.serving.direct import Direct
from tests.conftest import running
from tests.contract.calling import Caller, calling
from tests.contract.outbound import OUTBOUND
from tests.django import project as django_project
from tests.flask import application as flask_application

OWN_ANSWER = b"from the application"


class Adapter(Protocol):
    """Made once for a module of tests; `serve` puts the mesh of one test behind it.

    `is_inbound`: it is reached over a network, so that access and limits matter.
    `notices_at_once`: that a caller has left is known while the provider is silent.
    """

    is_inbound: ClassVar[bool]
    notices_at_once: ClassVar[bool]

    def serve(self, mesh: Mesh, **words: Any) -> AbstractContextManager[Caller]:
        """`words` are the application's own: `attributes` and `authorize`, called with anything."""


class ASGI:
    """The ASGI middleware on uvicorn."""

    is_inbound = notices_at_once = True
    server = "uvicorn-httptools"

    def __init__(self, stack: ExitStack) -> None:
        self._port = stack.enter_context(running(self, self.server))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self._loop = asyncio.get_running_loop()
            while (phase := (await receive())["type"]) != "lifespan.shutdown":
                await send({"type": f"{phase}.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await self._middleware(scope, receive, send)

    @contextmanager
    def serve(self, mesh: Mesh, **words: Any) -> Iterator[Caller]:
        self._middleware = self.application(mesh, **words)
        try:
            yield calling(self._port)
        finally:
            asyncio.run_coroutine_threadsafe(mesh.aclose(), self._loop).result(5)

    def application(self, mesh: Mesh, **words: Any) -> Any:
        return LLMMeshMiddleware(_asgi_app, mesh=mesh, **words)


class Serve(ASGI):
    """The server of `llm-mesh serve`, which hands plain requests to the mesh without a scope."""

    server = "serve"

    @property
    def direct(self) -> Direct:
        """The way into the mesh of the running test."""
        return Direct(self._middleware)


async def _asgi_app(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"%d" % len(OWN_ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": OWN_ANSWER})


class WSGI:
    """The WSGI middleware, a thread for each request, under the eyes of `wsgiref.validate`."""

    is_inbound = True
    notices_at_once = False

    def __init__(self, stack: ExitStack) -> None:
        self._port = stack.enter_context(running(self, "wsgiref"))

    def __call__(self, environ: Any, start_response: Any) -> Any:
        return self._middleware(environ, start_response)

    @contextmanager
    def serve(self, mesh: Mesh, **words: Any) -> Iterator[Caller]:
        self._middleware = self.application(mesh, **words)
        try:
            yield calling(self._port)
        finally:
            mesh.close()

    def application(self, mesh: Mesh, **words: Any) -> Any:
        return LLMMeshWSGIMiddleware(_wsgi_app, mesh=mesh, **words)


def _wsgi_app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("content-length", str(len(OWN_ANSWER))), ("content-type", "text/x")])
    return [OWN_ANSWER]


class DjangoASGI(ASGI):
    """Django's middleware in an asynchronous chain."""

    def application(self, mesh: Mesh, **words: Any) -> Any:
        return django_project.make_asgi(OWN_ANSWER, mesh, **words)


class DjangoWSGI(WSGI):
    """Django's middleware in a synchronous chain."""

    def application(self, mesh: Mesh, **words: Any) -> Any:
        return django_project.make_wsgi(OWN_ANSWER, mesh, **words)


class Flask(WSGI):
    """The Flask extension."""

    def application(self, mesh: Mesh, **words: Any) -> Any:
        return flask_application.make(OWN_ANSWER, mesh=mesh, **words)


ADAPTERS: Mapping[str, Callable[[ExitStack], Adapter]] = {
    "asgi": ASGI,
    "asgi-serve": Serve,
    "wsgi": WSGI,
    "django-asgi": DjangoASGI,
    "django-wsgi": DjangoWSGI,
    "flask": Flask,
    **OUTBOUND,
}
