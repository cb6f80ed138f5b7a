"""The objects of the double: written as an API server writes them, with all that ever happened.

Custom resources are checked and pruned by the schemas of our definitions; of other kinds anything
is taken.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from llm_mesh_kubernetes.crds import make_crds
from tests.kubernetes.structural import faults, pruned

__all__ = ["Event", "Objects", "Refusal"]

Object = dict[str, Any]
# Plural, namespace, name.
Key = tuple[str, str, str]

_READ_ONLY = ("uid", "generation", "creationTimestamp", "managedFields", "namespace")


@cache
def _schemas() -> dict[str, Object]:
    return {
        crd["spec"]["names"]["plural"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for crd in make_crds()
    }


@dataclass(frozen=True, slots=True)
class Event:
    """A change and the object after it, or as it was deleted."""

    revision: int
    kind: str
    collection: str
    item: Object


class Refusal(Exception):
    """What is answered in place of an object."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        self.code, self.reason, self.message = code, reason, message
        super().__init__(message)


class Objects:
    """Versions are counted over all collections, as etcd does."""

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._items: dict[Key, Object] = {}
        self.events: list[Event] = []
        self.revision = 100
        self.oldest = 100

    def at(self, version: int, collection: str) -> list[Object]:
        """The objects of a collection as they were."""
        items: dict[tuple[str, str], Object] = {}
        for event in self.events:
            if event.revision > version or event.collection != collection:
                continue
            metadata = event.item["metadata"]
            name = metadata["namespace"], metadata["name"]
            items[name] = event.item
            if event.kind == "DELETED":
                del items[name]
        return [item for _, item in sorted(items.items(), key=lambda pair: pair[0])]

    def get(self, key: Key) -> Object:
        if key not in self._items:
            raise Refusal(404, "NotFound", f'{key[0]} "{key[2]}" not found')
        return self._items[key]

    def create(self, key: Key, item: Object) -> Object:
        if key in self._items:
            raise Refusal(409, "AlreadyExists", f'{key[0]} "{key[2]}" already exists')
        made = _checked(key, {name: value for name, value in item.items() if name != "status"})
        made["metadata"] |= {
            "namespace": key[1],
            "uid": str(uuid.uuid4()),
            "generation": 1,
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "managedFields": [{"manager": "test", "fieldsV1": {"f:spec": {}}}],
        }
        return self._store(key, made, "ADDED")

    def replace(self, key: Key, item: Object) -> Object:
        """The whole object but its status."""
        old, version = self.get(key), item["metadata"].get("resourceVersion")
        if not version and key[0] in _schemas():
            raise Refusal(422, "Invalid", "metadata.resourceVersion: must be specified")
        _check_version(old, version)
        new = _checked(key, {name: value for name, value in item.items() if name != "status"})
        kept = {name: old["metadata"][name] for name in _READ_ONLY}
        new["metadata"] |= kept
        if new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] += 1
        if "status" in old:
            new["status"] = old["status"]
        return self._store(key, new, "MODIFIED")

    def merge_status(self, key: Key, patch: Object) -> Object:
        """The status alone, whatever else is in the patch."""
        old = self.get(key)
        _check_version(old, patch.get("metadata", {}).get("resourceVersion"))
        merged = {**old.get("status", {}), **patch.get("status", {})}
        return self._store(key, _checked(key, {**old, "status": merged}), "MODIFIED")

    def delete(self, key: Key) -> None:
        item = deepcopy(self.get(key))
        del self._items[key]
        self._happened("DELETED", key[0], item)

    def _store(self, key: Key, item: Object, kind: str) -> Object:
        old = self._items.get(key)
        if old is not None:
            item["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if item == old:
            return old  # what changes nothing makes no version
        self._items[key] = item
        self._happened(kind, key[0], item)
        return item

    def _happened(self, kind: str, collection: str, item: Object) -> None:
        self.revision += 1
        item["metadata"]["resourceVersion"] = str(self.revision)
        event = Event(self.revision, kind, collection, deepcopy(item))
        self.events.append(event)
        self._tell(event)


def _check_version(old: Object, wanted: str | None) -> None:
    if wanted not in (None, old["metadata"]["resourceVersion"]):
        raise Refusal(409, "Conflict", "the object has been modified")


def _checked(key: Key, item: Object) -> Object:
    """A copy without what the schema does not know."""
    schema = _schemas().get(key[0])
    if schema is None:
        return deepcopy(item)
    # The API server has a schema of its own for metadata.
    made = pruned({**item, "metadata": {}}, schema)
    if found := list(faults(made, schema)):
        raise Refusal(422, "Invalid", f'{key[0]} "{key[2]}" is invalid: {found}')
    return {**made, "metadata": deepcopy(item["metadata"])}
