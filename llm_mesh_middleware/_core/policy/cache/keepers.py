"""The keepers of responses: the store of the mesh, or a service with ASM's protocol.

    POST /lookup  {"request": {"headers": {...}, "body": "..."}}
                  200 {"request": ..., "response": {"headers": {...}, "body": "..."}}, 404 for none
    POST /update  {"request": ..., "response": ...}

ASM's own service finds entries by host, model and last message alone. So the `host` that it gets
begins with the request's key, which separates tenants, system prompts and earlier turns. It gets no
header of the client, and the body after the guards.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol

import msgspec

from ...caching.entry import Entry, Found, Lookup, Save, pack, unpack
from ...caching.store import CacheStore
from ...dialect import Answers
from ...flow.call import Call
from ...side_calls.service import Service
from ...side_calls.side_call import SideCallFailed
from ...values.steps import Ask, Spawn, Step

__all__ = ["Keeper", "ServiceKeeper", "StoreKeeper"]

_UPDATE_S = 5.0
_KEY_LENGTH = 32
_KEPT_AT, _TOKENS, _DIALECT = "x-llm-mesh-kept-at", "x-llm-mesh-tokens", "x-llm-mesh-dialect"

_Kept = tuple[Entry, float]


class Keeper(Protocol):
    """Stores and finds responses by key; a failure is a miss."""

    def look_up(self, key: str) -> Generator[Step, Any, _Kept | None]:
        """Return an entry and its age, if there is one."""

    def save(self, key: str, entry: Entry, ttl_s: float) -> Generator[Step, Any, None]:
        """Keep an entry for so long."""


class StoreKeeper:
    """The store of the mesh."""

    def __init__(self, store: CacheStore) -> None:
        self._store = store

    def look_up(self, key: str) -> Generator[Step, Any, _Kept | None]:
        """Return an entry and its age, if there is one."""
        found = yield Ask(self._store, Lookup(key))
        entry = unpack(found.data) if isinstance(found, Found) else None
        return None if entry is None else (entry, found.age_s)

    def save(self, key: str, entry: Entry, ttl_s: float) -> Generator[Step, Any, None]:
        """Keep an entry for so long."""
        yield Ask(self._store, Save(key, pack(entry), ttl_s))


class _Message(msgspec.Struct):
    body: str
    headers: dict[str, str] = {}


class _Lookup(msgspec.Struct):
    response: _Message


_decode = msgspec.json.Decoder(_Lookup).decode


class ServiceKeeper:
    """A service of the operator; for how long it keeps an entry is its own affair."""

    def __init__(
        self, service: Service, call: Call, answers: Answers, dialect: str, *, tool_calls: bool
    ) -> None:
        """`answers` knows what may be repeated: a service may keep anything."""
        self._service = service
        self._call = call
        self._answers = answers
        self._dialect = dialect
        self._tool_calls = tool_calls

    def look_up(self, key: str) -> Generator[Step, Any, _Kept | None]:
        """Return an entry and its age, if there is one."""
        call, now = self._call, self._call.clock()
        request = call.request
        context = self._service.context(
            call.deadline,
            now,
            request.headers,
            call.mesh_id,
            call.wall_clock,
        )
        body = msgspec.json.encode({"request": self._request(key)})
        answer = yield from self._service.call("POST", "/lookup", body, context, now)
        if isinstance(answer, SideCallFailed) or answer.status != 200:
            return None
        try:
            response = _decode(answer.body).response
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return self._read(response)

    def save(self, key: str, entry: Entry, ttl_s: float) -> Generator[Step, Any, None]:
        """Have an entry kept, in the background."""
        if not entry.is_stream:
            yield Spawn(self._update(key, entry))

    def _read(self, response: _Message) -> _Kept | None:
        body = response.body.encode("utf-8", "replace")
        headers = {name.lower(): value for name, value in response.headers.items()}
        tokens, kept_at = headers.get(_TOKENS, ""), headers.get(_KEPT_AT, "")
        age_s = self._call.wall_clock() - int(kept_at) if _is_count(kept_at) else 0.0
        dialect = headers.get(_DIALECT, self._dialect)
        is_own = dialect == self._dialect
        if is_own and not self._answers.may_repeat(body, tool_calls=self._tool_calls):
            return None
        entry = Entry(body, tokens=int(tokens) if _is_count(tokens) else 0, dialect=dialect)
        return entry, max(0.0, age_s)

    def _update(self, key: str, entry: Entry) -> Generator[Step, Any, None]:
        call, now = self._call, self._call.clock()
        headers = {
            "content-type": "application/json",
            _KEPT_AT: str(int(call.wall_clock())),
            _TOKENS: str(entry.tokens),
            _DIALECT: entry.dialect,
        }
        response = {"headers": headers, "body": entry.body.decode("utf-8", "replace")}
        body = msgspec.json.encode({"request": self._request(key), "response": response})
        context = call.report_context(now, _UPDATE_S)
        yield from self._service.call("POST", "/update", body, context, now)

    def _request(self, key: str) -> dict[str, object]:
        request = self._call.request
        host = f"{key[:_KEY_LENGTH]}.{request.host}"
        headers = {"host": host, ":authority": host, "content-type": "application/json"}
        return {"headers": headers, "body": request.body.decode("utf-8", "replace")}


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16
