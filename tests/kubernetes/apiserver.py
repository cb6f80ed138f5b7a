"""An API server on a real socket: list, watch and write, with the faults that clusters have.

It remembers events back to the last `compact`. That it answers as a real one does is what
`test_apiserver.py` is for.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.kubernetes.objects import Event, Key, Objects, Refusal

Object = dict[str, Any]

_KINDS = {
    "llmproviders": "LLMProvider",
    "llmroutes": "LLMRoute",
    "llmpolicies": "LLMPolicy",
    "secrets": "Secret",
    "pods": "Pod",
}


@dataclass
class Seen:
    """One request."""

    method: str
    path: str
    query: dict[str, str]

    @property
    def is_watch(self) -> bool:
        return "watch" in self.query


@dataclass
class _Watch:
    """Who has asked for what, once or from now on."""

    collection: str
    api_version: str
    namespace: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    events: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    transport: asyncio.Transport | None = None

    def concerns(self, item: Object) -> bool:
        metadata = item["metadata"]
        is_in_scope = self.namespace in ("", metadata["namespace"])
        has_labels = self.labels.items() <= metadata.get("labels", {}).items()
        return is_in_scope and has_labels and self.name in ("", metadata["name"])

    def see(self, event: Event) -> None:
        if self.concerns(event.item):
            self.tell(event.kind, event.item)

    def tell(self, kind: str, item: Object) -> None:
        self.events.put_nowait(_line(kind, {**item, "apiVersion": self.api_version}))


class APIServer:
    """Use it as a context manager; `url` is where it listens."""

    def __init__(self, tls: ssl.SSLContext, token: str) -> None:
        self._tls = tls
        self.token = token
        self.url = ""
        self.versions = {"v1beta1", "v1", "v1alpha1", "v1alpha2"}
        self.page = 500
        self.is_gone_an_event = True
        self.is_away = False
        self.is_silent = False
        self.refusals: dict[str, list[int | None]] = {}
        self.held: set[str] = set()
        self.seen: list[Seen] = []
        self._objects = Objects(self._tell)
        self._watches: list[_Watch] = []
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()

    def __enter__(self) -> APIServer:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="api-server")
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    # What a test does to it.

    def compact(self) -> None:
        """Forget all events: whoever resumes from before now is told 410."""
        self._do(lambda: setattr(self._objects, "oldest", self._objects.revision))

    def bookmark(self) -> str:
        """Tell all watches of a new version; what it is."""
        return self._do(self._bookmark)

    def end_watches(self) -> None:
        """As when their time is over."""
        self._do(lambda: [watch.events.put_nowait(None) for watch in self._watches])

    def cut_watches(self, tail: bytes = b"") -> None:
        """As when the network goes, perhaps in the middle of a line."""
        self._do(lambda: self._cut(tail))

    def go_away(self) -> None:
        """Close every connection, and each new one as soon as it asks for something."""
        self.is_away = True
        self.cut_watches()

    def refuse(self, collection: str, status: int, *, times: int = 10**6, after: int = 0) -> None:
        """Answer requests for a collection (`secrets`, `llmroutes/status`) with an error."""
        self.refusals[collection] = [*[status] * times, *[None] * after]

    def hold(self, collection: str) -> None:
        """Do what is asked of a collection, but keep the answers until `held` is cleared."""
        self.held.add(collection)

    def say(self, line: bytes) -> None:
        """Send a line to all watches."""
        self._do(lambda: [watch.events.put_nowait(line) for watch in self._watches])

    def watches(self, collection: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.is_watch and seen.path.endswith(collection)]

    def lists(self, collection: str) -> list[Seen]:
        return [
            seen
            for seen in self.seen
            if seen.method == "GET" and not seen.is_watch and seen.path.endswith(collection)
        ]

    def writes(self) -> list[Seen]:
        return [seen for seen in self.seen if seen.path.endswith("/status")]

    @property
    def open_watches(self) -> int:
        return len(self._watches)

    def _do(self, function: Callable[[], Any]) -> Any:
        async def call() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    # How it serves.

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(started))
        finally:
            self._loop.close()
            asyncio.set_event_loop(None)

    async def _serve(self, started: threading.Event) -> None:
        app = web.Application(middlewares=[self._guard])
        for base in ("/apis/{group}/{version}", "/api/{version}"):
            app.router.add_get(f"{base}/{{plural}}", self._get_all)
            app.router.add_get(f"{base}/namespaces/{{namespace}}/{{plural}}", self._get_all)
            app.router.add_post(f"{base}/namespaces/{{namespace}}/{{plural}}", self._create)
            one = f"{base}/namespaces/{{namespace}}/{{plural}}/{{name}}"
            app.router.add_get(one, self._get)
            app.router.add_put(one, self._replace)
            app.router.add_delete(one, self._delete)
            app.router.add_patch(f"{one}/status", self._patch_status)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        assert runner.addresses
        self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await self._stopping.wait()
        self._cut(b"")
        await runner.cleanup()

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Any:
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized", "Unauthorized")
        if "httpx" in request.headers["user-agent"]:
            return await self._answer(request, handler)  # the test's own, for which all is well
        self.seen.append(Seen(request.method, request.path, dict(request.query)))
        if self.is_away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        while self.is_silent:
            await asyncio.sleep(0.005)
        plural = request.match_info.get("plural", "")
        tail = "/status" if request.path.endswith("/status") else ""
        refusals = self.refusals.get(plural + tail)
        if refusals and (refusal := refusals.pop()) is not None:
            return _status(refusal, "Refused", "refused for the test")
        answer = await self._answer(request, handler)
        while plural + tail in self.held:
            await asyncio.sleep(0.005)
        return answer

    async def _answer(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[Any]]
    ) -> Any:
        version = request.match_info.get("version")
        if "group" in request.match_info and version not in self.versions:
            return web.Response(status=404, text="404 page not found\n")
        try:
            return await handler(request)
        except Refusal as exc:
            return _status(exc.code, exc.reason, exc.message)

    async def _get_all(self, request: web.Request) -> web.StreamResponse:
        plural, query = request.match_info["plural"], request.query
        name = query.get("fieldSelector", "").removeprefix("metadata.name=")
        namespace = request.match_info.get("namespace", "")
        pairs = [pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair]
        wanted = _Watch(plural, _api_version(request), namespace, name, dict(pairs))
        if "watch" in query:
            return await self._stream(request, wanted, int(query["resourceVersion"]))
        first, version = 0, self._objects.revision
        if "continue" in query:
            version, first = map(int, query["continue"].split("."))
            if version < self._objects.oldest:
                raise Refusal(410, "Expired", "the provided continue parameter is too old")
        found = [item for item in self._objects.at(version, plural) if wanted.concerns(item)]
        last = first + min(self.page, int(query.get("limit", 500)))
        metadata = {"resourceVersion": str(version)}
        if last < len(found):
            metadata["continue"] = f"{version}.{last}"
        return web.json_response(
            {
                "kind": f"{_KINDS.get(plural, plural)}List",
                "apiVersion": wanted.api_version,
                "metadata": metadata,
                "items": [_of_a_list(item, wanted.api_version) for item in found[first:last]],
            }
        )

    async def _stream(self, request: web.Request, watch: _Watch, since: int) -> web.StreamResponse:
        is_gone = since < self._objects.oldest
        message = f"too old resource version: {since} ({self._objects.oldest})"
        if is_gone and not self.is_gone_an_event:
            raise Refusal(410, "Expired", message)
        response = web.StreamResponse(headers={"content-type": "application/json"})
        response.enable_chunked_encoding()
        watch.transport = request.transport  # type: ignore[assignment]
        if is_gone:
            watch.events.put_nowait(_line("ERROR", _failure(410, "Expired", message)))
            watch.events.put_nowait(None)
        for event in self._objects.events if not is_gone else ():
            if event.revision > since and event.collection == watch.collection:
                watch.see(event)
        self._watches.append(watch)
        try:
            await response.prepare(request)
            with suppress(TimeoutError):
                async with asyncio.timeout(float(request.query["timeoutSeconds"])):
                    await _send(response, watch)
        finally:
            self._watches.remove(watch)
        return response

    async def _get(self, request: web.Request) -> web.Response:
        return _found(request, self._objects.get(_key(request)))

    async def _create(self, request: web.Request) -> web.Response:
        item = await request.json()
        key = (*_key(request)[:2], item["metadata"]["name"])
        return _found(request, self._objects.create(key, item), status=201)

    async def _replace(self, request: web.Request) -> web.Response:
        return _found(request, self._objects.replace(_key(request), await request.json()))

    async def _delete(self, request: web.Request) -> web.Response:
        self._objects.delete(_key(request))
        return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def _patch_status(self, request: web.Request) -> web.Response:
        if request.content_type != "application/merge-patch+json":
            message = "the body of the request was in an unknown format"
            raise Refusal(415, "UnsupportedMediaType", message)
        return _found(request, self._objects.merge_status(_key(request), await request.json()))

    def _tell(self, event: Event) -> None:
        for watch in self._watches:
            if watch.collection == event.collection:
                watch.see(event)

    def _bookmark(self) -> str:
        self._objects.revision += 5
        version = str(self._objects.revision)
        for watch in self._watches:
            kind = _KINDS.get(watch.collection, "")
            watch.tell("BOOKMARK", {"kind": kind, "metadata": {"resourceVersion": version}})
        return version

    def _cut(self, tail: bytes) -> None:
        for watch in self._watches:
            if watch.transport is None:
                continue
            if tail:  # one chunk of a line that never ends
                watch.transport.write(b"%x\r\n%s\r\n" % (len(tail), tail))
                watch.transport.close()
            else:
                watch.transport.abort()
            watch.events.put_nowait(None)


async def _send(response: web.StreamResponse, watch: _Watch) -> None:
    while (line := await watch.events.get()) is not None:
        # In two pieces, as a line may arrive.
        await response.write(line[:20])
        await response.write(line[20:])


def _key(request: web.Request) -> Key:
    match = request.match_info
    return match["plural"], match["namespace"], match.get("name", "")


def _api_version(request: web.Request) -> str:
    match = request.match_info
    return f"{match['group']}/{match['version']}" if "group" in match else match["version"]


def _found(request: web.Request, item: Object, status: int = 200) -> web.Response:
    return web.json_response({**item, "apiVersion": _api_version(request)}, status=status)


def _of_a_list(item: Object, api_version: str) -> Object:
    """Objects of the API server's own kinds do not say in lists what they are."""
    if "/" in api_version:
        return {**item, "apiVersion": api_version}
    return {name: value for name, value in item.items() if name not in ("kind", "apiVersion")}


def _line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _failure(code: int, reason: str, message: str) -> Object:
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return {**head, "message": message, "reason": reason, "code": code}


def _status(code: int, reason: str, message: str) -> web.Response:
    return web.json_response(_failure(code, reason, message), status=code)
