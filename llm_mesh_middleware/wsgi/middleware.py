"""The WSGI middleware: virtual LLM hosts are served, everything else reaches the app (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._core.routing.table import VirtualHost
from ..exceptions import AnswerableError
from ..inbound import ClientRequest, Inbound, check_hosts
from ..mesh import Config, Mesh
from ..settings import MeshSettings
from .environ import Environ, Target, raw_target, read_body, read_headers, read_target
from .keepalive import answer_kept_alive
from .reply import Answer, refused

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

__all__ = ["LLMMeshWSGIMiddleware"]

StartResponse = Callable[..., Any]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class LLMMeshWSGIMiddleware:
    """Serves requests whose Host is a virtual LLM host; the app never sees them.

    All other traffic reaches the app with the very same `environ` and `start_response`. Upstream
    calls are made in the thread of the request, without an event loop. A configuration that cannot
    be used is raised by the constructor, which is where servers load an application.

    One limit is WSGI's own: that a client has gone shows only when something is written to it.
    Until then its upstream call goes on, for at most `LLM_MESH_IDLE_TIMEOUT` after the last byte.
    """

    def __init__(
        self,
        app: WSGIApp,
        *,
        config: Config | None = None,
        settings: MeshSettings | None = None,
        mesh: Mesh | None = None,
        attributes: Callable[[Environ], Mapping[str, str]] | None = None,
        authorize: Callable[[Environ], bool] | None = None,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        """Wrap `app`; with no other argument everything is read from `LLM_MESH_*`.

        Args:
            app: the WSGI application.
            config: manifests, as `Mesh` takes them.
            settings: as `Mesh` takes them.
            mesh: a mesh to share with other adapters, instead of `config` and `settings`.
            attributes: the application's own facts about a request (plan, tenant), for matching.
            authorize: decides who may use the mesh beside `LLM_MESH_ACCESS`.
            tracer_provider: as `Mesh` takes it.
            meter_provider: as `Mesh` takes it.
            logger_provider: as `Mesh` takes it.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        self.app = app
        self._inbound: Inbound[Environ] = Inbound(
            config=config,
            settings=settings,
            mesh=mesh,
            attributes=attributes,
            authorize=authorize,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            logger_provider=logger_provider,
        )
        self.mesh: Mesh = self._inbound.mesh

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        answer = self.handle(environ)
        if answer is None:
            return self.app(environ, start_response)
        start_response(answer.status_line, answer.headers)
        if environ["REQUEST_METHOD"] == "HEAD":  # not every server leaves the body out (RFC 9110)
            answer.close()
            return []
        return answer

    def handle(self, environ: Environ) -> Answer | None:
        """The answer to a request for a virtual host; None if the request is not the mesh's.

        For adapters of frameworks: the answer must be closed on every path.
        """
        host = environ.get("HTTP_HOST", "")
        find = self.mesh.find
        if _is_plain(environ, host):
            found = find(host.encode("latin-1"))
            return None if found is None else self._answer(environ, found, read_target(environ))
        target = read_target(environ)
        named = target.hosts if target.authority is None else [*target.hosts, target.authority]
        hosts = [found for found in map(find, named) if found is not None]
        return self._answer(environ, hosts[0], target) if hosts else None

    def _answer(self, environ: Environ, host: VirtualHost, target: Target) -> Answer:
        try:
            request = self._admit(environ, host, target)
            if self.mesh.settings.sse_keepalive:
                return answer_kept_alive(self.mesh, host, request)
            return Answer.of(self.mesh.send(host, request))
        except AnswerableError as error:
            return refused(error)

    def _admit(self, environ: Environ, host: VirtualHost, target: Target) -> ClientRequest:
        """The request with its body, if it may be served."""
        settings = self.mesh.settings
        request = ClientRequest(
            environ["REQUEST_METHOD"],
            target.path,
            read_headers(environ),
            peer=environ.get("REMOTE_ADDR") or None,
            http_version=environ.get("SERVER_PROTOCOL", "HTTP/1.1").removeprefix("HTTP/"),
            scheme=environ.get("wsgi.url_scheme", "http"),
            is_inbound=True,
        )
        try:
            check_hosts(target.hosts, target.authority)
            request.attributes = self._inbound.admit(environ, request.peer, request.headers)
            request.body = read_body(environ, settings.max_request_bytes, settings.request_timeout)
        except AnswerableError as error:
            self.mesh.refuse(host, request, error)
            raise
        return request


def _is_plain(environ: Environ, host: str) -> bool:
    """Whether the Host field alone says whom the request is for, as nearly always."""
    return (
        "," not in host
        and raw_target(environ)[:1] in ("/", "")
        and environ.get("PATH_INFO", "")[:1] in ("/", "")
    )
