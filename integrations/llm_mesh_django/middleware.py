"""The Django middleware: virtual LLM hosts are served, everything else reaches the project."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from asgiref.sync import (
    async_to_sync,
    iscoroutinefunction,
    markcoroutinefunction,
    sync_to_async,
)
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from llm_mesh_middleware import LLMMeshWSGIMiddleware
from llm_mesh_middleware.asgi.embedded import aserve_scope
from llm_mesh_middleware.asgi.scope import address_scope
from llm_mesh_middleware.inbound import Addressed, Inbound

from .conf import Word, get_mesh, read_options
from .response import make_async_response, make_response

__all__ = ["LLMMeshMiddleware"]

T = TypeVar("T")
GetResponse = Callable[[HttpRequest], Any]

_REQUEST = "llm_mesh.request"


class _Capable(type):
    """Makes `sync_capable` depend on the chain that Django is building.

    If a class is `sync_capable`, Django adapts it to a synchronous middleware below it, also under
    ASGI, where each request would then occupy a thread. So it is False while Django builds an
    asynchronous chain, which only a local variable of Django's calling frame shows. If a later
    Django has no such variable, it is True, and requests use threads again.
    """

    @property
    def sync_capable(cls) -> bool:
        return not sys._getframe(1).f_locals.get("is_async", False)


class LLMMeshMiddleware(metaclass=_Capable):
    """Serves requests whose Host is a virtual LLM host; no later middleware sees them.

    Under WSGI calls are made in the thread of the request, under ASGI in its event loop. It reads
    the `LLM_MESH` setting; a configuration that cannot be used ends the start of the server.
    """

    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        """Wrap `get_response`; be asynchronous if that is.

        Raises:
            ConfigError: the settings or the manifests cannot be used.
        """
        options, mesh = read_options(), get_mesh()
        self._get_response = get_response
        self._wsgi = LLMMeshWSGIMiddleware(
            _unreachable,
            mesh=mesh,
            attributes=_of_environ(options.attributes),
            authorize=_of_environ(options.authorize),
        )
        self._asgi: Inbound[HttpRequest] = Inbound(
            {
                "mesh": mesh,
                "attributes": _as_async(options.attributes),
                "authorize": _as_async(options.authorize),
            }
        )
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Return the response; in an asynchronous chain, a coroutine."""
        if self._is_async:
            return self._acall(request)
        response = self._respond(request)
        if response is not None:
            return response
        with self._stating(request):
            return self._get_response(request)

    def _respond(self, request: HttpRequest) -> HttpResponseBase | None:
        if hasattr(request, "scope"):  # under ASGI, in the thread of a synchronous chain
            addressed = self._address(request.scope)
            return None if addressed is None else async_to_sync(self._answer)(addressed, request)
        reply = self._wsgi.handle(_environ(request))
        return None if reply is None else make_response(reply)

    async def _acall(self, request: Any) -> HttpResponseBase:
        addressed = self._address(request.scope)
        if addressed is None:
            with self._stating(request):
                response: HttpResponseBase = await self._get_response(request)
            return response
        return await self._answer(addressed, request)

    async def _answer(self, addressed: Addressed, request: Any) -> HttpResponseBase:
        return await make_async_response(
            await aserve_scope(self._asgi, addressed, request.scope, request, request.read)
        )

    def _address(self, scope: Any) -> Addressed | None:
        return address_scope(self._asgi.mesh.find, scope)

    def _stating(self, request: HttpRequest) -> AbstractContextManager[None]:
        """Return a context in which the project's own calls have the attributes of the request."""
        if self._is_async:
            return self._asgi.stating(request)
        return self._wsgi.stating({_REQUEST: request})


def _environ(request: Any) -> dict[str, Any]:
    """Return the server's environ, with Django's request as its body.

    A middleware may have read the body already, which the request then keeps. Django treats a body
    without a length as empty, and does not read it.
    """
    environ = {
        **request.environ,
        "PATH_INFO": request.path_info.encode().decode("latin-1"),  # PEP 3333
        _REQUEST: request,
    }
    if environ.get("CONTENT_LENGTH"):
        environ["wsgi.input"] = request
    return environ


def _unreachable(environ: object, start_response: object) -> list[bytes]:
    raise RuntimeError("requests for other hosts are passed to Django")


def _of_environ(word: Word[T] | None) -> Callable[[Any], T] | None:
    """Return the project's function as one that gets the environ."""
    if word is None:
        return None
    called: Any = async_to_sync(word) if _is_coroutine_function(word) else word  # type: ignore[arg-type]  # checked
    return lambda environ: called(environ[_REQUEST])


def _as_async(word: Word[T] | None) -> Callable[[HttpRequest], Awaitable[T]] | None:
    """Return the project's function as a coroutine function; a thread lets it use the database."""
    called: Any = word
    if word is None or _is_coroutine_function(word):
        return called  # type: ignore[no-any-return]
    return sync_to_async(called, thread_sensitive=True)


def _is_coroutine_function(word: Any) -> bool:
    """Return whether a function, or an object with `__call__`, returns a coroutine."""
    return iscoroutinefunction(word) or iscoroutinefunction(getattr(word, "__call__", None))  # noqa: B004
