"""A program that forks while a thread of its own holds every lock of the mesh; the child serves.

`forking.py UPSTREAM FOLDER MOMENT`: the locks are held before anything has been used, or after.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SOURCES = tuple(f"{os.sep}llm_mesh_{name}" for name in ("middleware", "django", "flask", "httpx"))
_CHILD_S = 15
_locks: list[Any] = []


def _remembered(make: Callable[[], Any]) -> Callable[[], Any]:
    """`make`, but the locks that are made in files of the mesh are remembered."""

    def made() -> Any:
        lock = make()
        file = sys._getframe(1).f_code.co_filename
        if any(source in file for source in _SOURCES):
            _locks.append(lock)
        return lock

    return made


threading.Lock = _remembered(threading.Lock)
threading.RLock = _remembered(threading.RLock)  # type: ignore[assignment]

import django  # noqa: E402  the locks of modules are made while they are imported
import httpx  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402
from opentelemetry.metrics import set_meter_provider  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402

from llm_mesh_django.conf import get_mesh  # noqa: E402
from llm_mesh_httpx import MeshTransport  # noqa: E402
from llm_mesh_middleware import LLMMeshMiddleware, LLMMeshWSGIMiddleware, Mesh  # noqa: E402
from tests.engine.calls import HOST, KEY  # noqa: E402

ELSEWHERE = f"{sys.argv[1]}/v1/chat/completions"
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()
MANIFEST = f"""
apiVersion: istio.alibabacloud.com/v1
kind: LLMProvider
metadata: {{name: example}}
spec:
  host: {HOST}
  path: /v1/chat/completions
  endpoint: {sys.argv[1]}
  configs: {{defaultConfig: {{openAIConfig: {{model: m, apiKey: {KEY}}}}}}}
"""


class Ways:
    """Every way into the mesh, each with a mesh of its own that is made by its first call."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        set_meter_provider(MeterProvider([self.reader]))
        self.asgi = LLMMeshMiddleware(_no_app)
        self.wsgi = LLMMeshWSGIMiddleware(_no_app)
        self.mesh = Mesh()
        self.transport = MeshTransport(self.mesh)
        self.client = httpx.Client(transport=self.transport)

    def use(self) -> dict[str, int]:
        """The status that each of them answers with."""
        answered = {
            "asgi": asyncio.run(self._asgi()),
            "wsgi": self._wsgi(),
            "httpx": self.client.post(f"http://{HOST}/", content=BODY).status_code,
            "other host": self.client.post(ELSEWHERE, content=BODY).status_code,
            "django": 200 if get_mesh().find(HOST.encode()) else 0,
            "reload": 200 if self.mesh.reload().state == "ok" else 0,
        }
        self.reader.collect()
        return answered

    async def _asgi(self) -> int:
        messages = [{"type": "http.request", "body": BODY}]
        sent: list[Any] = []

        async def receive() -> Any:
            return messages.pop() if messages else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/",
            "headers": [(b"host", HOST.encode())],
            "client": ("127.0.0.1", 50000),
        }
        await self.asgi(scope, receive, send)
        await self.asgi.mesh.aclose()
        return int(sent[0]["status"])

    def _wsgi(self) -> int:
        statuses: list[str] = []
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "HTTP_HOST": HOST,
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_LENGTH": str(len(BODY)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(BODY),
        }
        body = self.wsgi(environ, lambda status, headers, *_: statuses.append(status))
        with contextlib.closing(body):  # type: ignore[type-var]
            b"".join(body)
        return int(statuses[0][:3])


def _no_app(*_: Any) -> Any:
    raise AssertionError("every request is for the mesh")


def _hold_all() -> threading.Event:
    """Have a thread that is not the one that forks hold every lock there is."""
    held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in _locks:
            lock.acquire()
        held.set()
        may_go.wait()
        for lock in _locks:
            lock.release()

    threading.Thread(target=hold).start()
    assert held.wait(5)
    return may_go


def _tell(figures: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def main(folder: Path, moment: str) -> int:
    """What the child's and then the parent's calls were answered, as JSON; 0 if it is alive."""
    config = folder / "mesh.yaml"
    config.write_text(MANIFEST)
    os.environ["LLM_MESH_CONFIG"] = str(config)
    django_settings.configure(LLM_MESH={})
    django.setup()
    ways = Ways()
    if moment == "after use":
        ways.use()
    _tell({"locks": len(_locks)})
    may_go = _hold_all()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is dangerous, since 3.12
        child = os.fork()
    if child == 0:
        signal.alarm(_CHILD_S)  # a lock that is held for ever ends it
        _tell(ways.use())
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    may_go.set()
    _tell(ways.use())
    return ended


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[2]), sys.argv[3]))
