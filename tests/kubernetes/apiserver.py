"""An API server on a real socket: list, watch and write, with the faults that clusters have.

It keeps objects by collection, counts versions over all of them as etcd does, and remembers events
back to the last `compact`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Object = dict[str, Any]

_READ_ONLY = ("uid", "generation", "resourceVersion", "creationTimestamp", "managedFields")


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
    collection: str
    namespace: str
    name: str
    events: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[Any] | None = None
    transport: asyncio.Transport | None = None

    def concerns(self, collection: str, item: Object) -> bool:
        metadata = item["metadata"]
        return (
            self.collection == collection
            and self.namespace in ("", metadata["namespace"])
            and self.name in ("", metadata["name"])
        )


class APIServer:
    """Use it as a context manager; `url` is where it listens."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self.url = ""
        self.versions = {"v1beta1", "v1"}
        self.page = 500
        self.is_gone_an_event = True
        self.is_away = False
        self.is_silent = False
        self.refusals: dict[str, list[int | None]] = {}
        self.seen: list[Seen] = []
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._events: list[tuple[int, str, str, Object]] = []
        self._revision = 100
        self._oldest = 0
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
        self._do(lambda: setattr(self, "_oldest", self._revision))

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
        if "httpx" in request.headers["user-agent"]:
            return await handler(request)  # the test's own client, for which all is well
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
            return _status(refusal, "refused for the test")
        if "group" in request.match_info and request.match_info["version"] not in self.versions:
            return _status(404, "the server could not find the requested resource")
        return await handler(request)

    async def _get_all(self, request: web.Request) -> web.StreamResponse:
        plural, query = request.match_info["plural"], request.query
        namespace = request.match_info.get("namespace", "")
        name = query.get("fieldSelector", "").removeprefix("metadata.name=")
        watch = _Watch(plural, namespace, name)
        if "watch" in query:
            return await self._stream(request, watch, int(query["resourceVersion"]))
        first, version = 0, self._revision
        if "continue" in query:
            version, first = map(int, query["continue"].split("."))
            if version < self._oldest:
                return _status(410, "the provided continue parameter is too old")
        found = [
            item
            for (collection, _, _), item in sorted(self._objects.items())
            if watch.concerns(collection, item)
        ]
        last = first + min(self.page, int(query.get("limit", 500)))
        metadata = {"resourceVersion": str(version)}
        if last < len(found):
            metadata["continue"] = f"{version}.{last}"
        return web.json_response({"metadata": metadata, "items": found[first:last]})

    async def _stream(self, request: web.Request, watch: _Watch, since: int) -> web.StreamResponse:
        if since < self._oldest and not self.is_gone_an_event:
            return _status(410, "too old resource version")
        response = web.StreamResponse(headers={"content-type": "application/json"})
        response.enable_chunked_encoding()
        watch.transport = request.transport  # type: ignore[assignment]
        if since < self._oldest:
            gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
            watch.events.put_nowait(_line("ERROR", gone))
            watch.events.put_nowait(None)
        else:
            for version, kind, plural, item in self._events:
                if version > since and watch.concerns(plural, item):
                    watch.events.put_nowait(_line(kind, item))
        self._watches.append(watch)
        try:
            await response.prepare(request)
            while (line := await watch.events.get()) is not None:
                # In two pieces, as a line may arrive.
                await response.write(line[:20])
                await response.write(line[20:])
        finally:
            self._watches.remove(watch)
        return response

    async def _get(self, request: web.Request) -> web.Response:
        item = self._objects.get(_key(request))
        return _status(404, "not found") if item is None else web.json_response(item)

    async def _create(self, request: web.Request) -> web.Response:
        item = await request.json()
        key = (*_key(request)[:2], item["metadata"]["name"])
        if key in self._objects:
            return _status(409, "already exists")
        item["metadata"] |= {"namespace": key[1], "uid": f"uid-{self._revision}", "generation": 1}
        item["metadata"]["managedFields"] = [{"manager": "test", "fieldsV1": {"f:spec": {}}}]
        item.pop("status", None)
        return self._store(key, item, "ADDED")

    async def _replace(self, request: web.Request) -> web.Response:
        key, item = _key(request), await request.json()
        old = self._objects.get(key)
        if old is None:
            return _status(404, "not found")
        kept = {name: old["metadata"][name] for name in _READ_ONLY if name in old["metadata"]}
        item["metadata"] = {**item["metadata"], "namespace": key[1], **kept}
        if item.get("spec") != old.get("spec"):
            item["metadata"]["generation"] += 1
        if "status" in old:
            item["status"] = old["status"]
        return self._store(key, item, "MODIFIED")

    async def _delete(self, request: web.Request) -> web.Response:
        item = self._objects.pop(_key(request), None)
        if item is None:
            return _status(404, "not found")
        self._tell("DELETED", request.match_info["plural"], deepcopy(item))
        return web.json_response({"kind": "Status", "status": "Success"})

    async def _patch_status(self, request: web.Request) -> web.Response:
        if request.content_type != "application/merge-patch+json":
            return _status(415, "unsupported media type")
        key, patch = _key(request), await request.json()
        old = self._objects.get(key)
        if old is None:
            return _status(404, "not found")
        wanted = patch.get("metadata", {}).get("resourceVersion")
        if wanted not in (None, old["metadata"]["resourceVersion"]):
            return _status(409, "the object has been modified")
        merged = {**old.get("status", {}), **patch["status"]}
        return self._store(key, {**deepcopy(old), "status": merged}, "MODIFIED")

    def _store(self, key: tuple[str, str, str], item: Object, kind: str) -> web.Response:
        self._objects[key] = item
        self._tell(kind, key[0], item)
        return web.json_response(item)

    def _tell(self, kind: str, collection: str, item: Object) -> None:
        self._revision += 1
        item["metadata"]["resourceVersion"] = str(self._revision)
        self._events.append((self._revision, kind, collection, deepcopy(item)))
        for watch in self._watches:
            if watch.concerns(collection, item):
                watch.events.put_nowait(_line(kind, item))

    def _bookmark(self) -> str:
        self._revision += 5
        mark = {"metadata": {"resourceVersion": str(self._revision)}}
        for watch in self._watches:
            watch.events.put_nowait(_line("BOOKMARK", mark))
        return str(self._revision)

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


def _key(request: web.Request) -> tuple[str, str, str]:
    match = request.match_info
    return match["plural"], match["namespace"], match.get("name", "")


def _line(kind: str, item: Object) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def _status(code: int, message: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "code": code, "message": message}
    return web.json_response(body, status=code)
