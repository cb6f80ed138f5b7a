"""Writes `status.conditions` if they have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime

from .conditions import Verdict, merge
from .connection import Connection, Object
from .faults import APIFault, pause_s
from .reflector import Reflector

__all__ = ["StatusWriter", "Verdict"]

logger = logging.getLogger("llm_mesh_middleware")

# Permission may be granted later, and an API server that has just started may not know it yet.
_PAUSES_AFTER_DENIAL = 20


class StatusWriter:
    """Writes the newest verdict of each document, one after the other.

    An object that was changed meanwhile is read again first (409), so that no conditions of others
    are lost.
    """

    def __init__(
        self,
        connection: Connection,
        reflectors: Mapping[str, Reflector],
        backoff_s: tuple[float, float],
    ) -> None:
        self._connection = connection
        self._reflectors = reflectors
        self._backoff_s = backoff_s
        self._wanted: dict[str, Verdict] = {}
        self._is_wanted = asyncio.Event()
        self._is_denied = False

    def want(self, verdicts: Mapping[str, Verdict]) -> None:
        """Replace the verdicts that are not written yet; called in the loop."""
        self._wanted = dict(verdicts)
        self._is_wanted.set()

    async def run(self) -> None:
        """Write until cancelled, or the connection is closed."""
        failures = 0
        while True:
            await self._is_wanted.wait()
            name = next(iter(self._wanted), None)
            if name is None:
                self._is_wanted.clear()
                continue
            verdict = self._wanted[name]
            try:
                await self._write(name, verdict)
            except APIFault as fault:
                if self._connection.is_closed:
                    return
                if fault.status == 403:
                    await self._accept_denial(fault)
                    continue
                if self._is_worth_another(fault, failures):
                    pause = pause_s(failures, backoff_s=self._backoff_s, fault=fault)
                    failures += 1
                    await asyncio.sleep(pause)
                    continue
            failures = 0
            if self._wanted.get(name) is verdict:
                del self._wanted[name]

    async def _write(self, name: str, verdict: Verdict) -> None:
        plural, namespace, own_name = name.split("/")
        reflector = self._reflectors[plural]
        found = known = reflector.objects.get((namespace, own_name))
        is_fresh = False
        while found is not None:
            path = _path(reflector.path, plural, namespace, own_name)
            patch = _patch(found, verdict)
            if patch is None:
                return
            try:
                written = await self._connection.patch(f"{path}/status", patch)
            except APIFault as fault:
                if fault.status != 409 or is_fresh:
                    raise
                found, is_fresh = await self._connection.get(path), True
            else:
                # Store it before the watch reports it, unless the watch has reported a change.
                if reflector.objects.get((namespace, own_name)) is known:
                    reflector.objects[namespace, own_name] = written
                return

    async def _accept_denial(self, fault: APIFault) -> None:
        """Accept a denial: of several meshes that share documents, one may write."""
        if not self._is_denied:
            logger.info("no status is written: %s", fault)
        self._is_denied = True
        await asyncio.sleep(_PAUSES_AFTER_DENIAL * self._backoff_s[1])

    def _is_worth_another(self, fault: APIFault, failures: int) -> bool:
        if fault.status == 404:
            return False  # deleted
        if not failures:
            logger.warning("the status of a document cannot be written: %s", fault)
        return not fault.is_refusal or fault.status in (401, 409)


def _path(collection: str, plural: str, namespace: str, name: str) -> str:
    """Return an object's own path, also if the collection is that of all namespaces."""
    base = collection.partition("/namespaces/")[0].removesuffix(f"/{plural}")
    return f"{base}/namespaces/{namespace}/{plural}/{name}"


def _patch(found: Object, verdict: Verdict) -> Object | None:
    """Return the patch for this version of an object; None if its status is right already."""
    present = (found.get("status") or {}).get("conditions") or []
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = merge(present, verdict.conditions(), now=now)
    if _sorted(conditions) == _sorted(present):
        return None
    version = (found.get("metadata") or {}).get("resourceVersion")
    return {"metadata": {"resourceVersion": version}, "status": {"conditions": conditions}}


def _sorted(conditions: list[Object]) -> list[Object]:
    return sorted(conditions, key=lambda condition: str(condition.get("type")))
