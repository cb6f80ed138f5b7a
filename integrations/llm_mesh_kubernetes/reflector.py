"""One collection of objects of the API server: listed, then watched for changes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeAlias

from .connection import Connection, Object
from .faults import APIFault, Expired, pause_s

__all__ = ["ObjectName", "Reflector"]

logger = logging.getLogger("llm_mesh_middleware")

# Namespace and name.
ObjectName: TypeAlias = tuple[str, str]

_PAGE = 500
# Random, so that the watches of many processes do not end at the same time.
_WATCH_S = (60, 120)
# A watch that lasted this long counts as successful, even if it ended with an error.
_WELL_S = 1.0


class Reflector:
    """Follows one collection; `objects` stay while the API server is unavailable.

    `changed` is called after each change to `objects` or `fault`.
    """

    def __init__(
        self,
        connection: Connection,
        paths: Sequence[str],
        *,
        label: str,
        changed: Callable[[], None],
        backoff_s: tuple[float, float],
        field_selector: str = "",
        label_selector: str = "",
        is_optional: bool = False,
    ) -> None:
        """Prepare to follow a collection.

        Args:
            connection: to the API server.
            paths: where the collection may be, one for each version of its kind; the first that
                is served is used.
            label: its name in the log.
            changed: called after each change.
            backoff_s: the first pause after a failure, and the longest.
            field_selector: selects objects of the collection by fields.
            label_selector: selects objects by labels.
            is_optional: whether a cluster may lack the collection.
        """
        self.objects: dict[ObjectName, Object] = {}
        self.is_synced = False
        self.fault: APIFault | None = None
        self.path = paths[0]
        self._paths = paths
        self._connection = connection
        self._label = label
        self._changed = changed
        self._backoff_s = backoff_s
        selectors = {"fieldSelector": field_selector, "labelSelector": label_selector}
        self._selector = {name: text for name, text in selectors.items() if text}
        self._is_optional = is_optional
        self._version = ""
        self._failures = 0

    @property
    def is_settled(self) -> bool:
        """Whether waiting for more would not help."""
        return self.is_synced or (self.fault is not None and self.fault.is_refusal)

    async def run(self) -> None:
        """Follow the collection until cancelled, or the connection is closed."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except APIFault as fault:
                if self._connection.is_closed:
                    return
                if isinstance(fault, Expired):
                    self._version = ""
                if not isinstance(fault, Expired) or self._failures:
                    self._lose(fault)
                    pause = pause_s(self._failures, backoff_s=self._backoff_s, fault=fault)
                    await asyncio.sleep(pause)
                self._failures += 1

    async def _list(self) -> None:
        found: dict[ObjectName, Object] = {}
        page = await self._first_page()
        while True:
            for item in page.get("items") or ():
                found[_name(item)] = item
            metadata = _metadata(page)
            token = metadata.get("continue")
            if not token:
                break
            page = await self._page(self.path, token)
        self._version = metadata.get("resourceVersion") or ""
        self.objects = found
        self.is_synced = True
        self._regain()
        self._changed()

    async def _first_page(self) -> Object:
        """Get the first page of the first version that is served, beginning with the one in use."""
        paths = [self.path, *(path for path in self._paths if path != self.path)]
        for path in paths[:-1]:
            try:
                page = await self._page(path)
            except APIFault as fault:
                if fault.status != 404:
                    raise
            else:
                self.path = path
                return page
        page = await self._page(paths[-1])
        self.path = paths[-1]
        return page

    async def _page(self, path: str, token: str = "") -> Object:
        query = {"limit": str(_PAGE), **self._selector}
        if token:
            query["continue"] = token
        return await self._connection.get(path, **query)

    async def _watch(self) -> None:
        """Follow one watch to its end, which is normal after a while."""
        began = asyncio.get_running_loop().time()
        events = self._connection.events(
            self.path,
            timeout_s=random.randint(*_WATCH_S),
            resourceVersion=self._version,
            allowWatchBookmarks="true",
            **self._selector,
        )
        try:
            async with aclosing(events):
                async for event in events:
                    self._take(event)
                    self._failures = 0
                    self._regain()
        finally:
            lasted = asyncio.get_running_loop().time() - began
            if lasted >= _WELL_S:
                self._failures = 0
        if lasted < _WELL_S:
            raise APIFault("the API server ended a watch at once")

    def _take(self, event: Object) -> None:
        kind, item = event.get("type"), event.get("object")
        if not isinstance(item, Mapping):
            raise APIFault("the API server sent an event without an object")
        if kind == "ERROR":
            message = f"the API server ended a watch: {item.get('message')}"
            raise Expired(message) if item.get("code") == 410 else APIFault(message)
        version = _metadata(item).get("resourceVersion")
        if kind == "DELETED":
            self.objects.pop(_name(item), None)
        elif kind in ("ADDED", "MODIFIED"):
            self.objects[_name(item)] = item
        self._version = version or self._version
        if kind != "BOOKMARK":
            self._changed()

    def _lose(self, fault: APIFault) -> None:
        """Note a fault; log the first one after a success."""
        if self._is_optional and fault.status == 404:
            self.objects, self.is_synced, self._version = {}, True, ""
            self._changed()
            return
        is_expected = self._is_optional and fault.is_refusal
        if self.fault is None and not is_expected:
            what = "what was read stays in use" if self.is_synced else "trying again"
            logger.warning("%s: %s; %s", self._label, fault, what)
        self.fault = fault
        self._changed()

    def _regain(self) -> None:
        if self.fault is not None:
            self.fault = None
            logger.info("%s: the API server is back", self._label)


def _metadata(item: object) -> Object:
    found = item.get("metadata") if isinstance(item, Mapping) else None
    if not isinstance(found, Mapping):
        raise APIFault("the API server sent an object without metadata")
    return found


def _name(item: object) -> ObjectName:
    metadata = _metadata(item)
    return str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
