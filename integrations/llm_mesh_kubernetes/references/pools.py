"""Finds the pools of model servers that routes refer to, and the pods that serve them.

    LLMRoute --backendRef--> InferencePool --selector--> Pods, of which those that are ready serve

A pool becomes a document with the addresses of its pods as its `endpoints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..connection import Object
from ..resources import is_name

__all__ = ["PodSelector", "pods_of", "pool_of", "referred_pools", "with_endpoints"]

# Namespace and label selector.
PodSelector = tuple[str, str]
PoolName = tuple[str, str]


def referred_pools(routes: Iterable[Object]) -> frozenset[PoolName]:
    """Return the pools that routes name, by namespace and name.

    The objects may be invalid; parsing them later reports it.
    """
    return frozenset(name for route in routes for name in _referred(route))


def _referred(route: Object) -> Iterator[PoolName]:
    own = _at(route, "metadata", "namespace")
    for rule in _list(_at(route, "spec", "rules")):
        for backend in _list(_at(rule, "backendRefs")):
            name = _at(backend, "backendRef", "name")
            namespace = _at(backend, "backendRef", "namespace") or own
            if is_name(name) and is_name(namespace):
                yield str(namespace), str(name)


def pool_of(name: tuple[str, str], rewrite: Object) -> PoolName:
    """Return the pool whose models a document rewrites; it is in the document's namespace."""
    return name[0], str(_at(rewrite, "spec", "poolRef", "name"))


def pods_of(name: PoolName, pool: Object | None) -> PodSelector | None:
    """Return the selector of a pool's pods, or None if it has none.

    A pool of v1 has `matchLabels`, one of v1alpha2 the labels themselves.
    """
    selector = _at(pool, "spec", "selector")
    labels = _at(selector, "matchLabels") if _at(selector, "matchLabels") else selector
    if not isinstance(labels, Mapping) or not labels:
        return None
    if not all(isinstance(text, str) for pair in labels.items() for text in pair):
        return None
    return name[0], ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def with_endpoints(pool: Object, pods: Iterable[Object]) -> Object:
    """Return the pool with the addresses of its ready pods, sorted."""
    addresses = sorted({address for pod in pods for address in _address(pod)})
    spec = pool.get("spec")
    return {**pool, "spec": {**(spec if isinstance(spec, dict) else {}), "endpoints": addresses}}


def _address(pod: Object) -> Iterator[str]:
    """Yield the address of a ready pod, unless it is being deleted."""
    address = _at(pod, "status", "podIP")
    if not isinstance(address, str) or not address or _at(pod, "metadata", "deletionTimestamp"):
        return
    for condition in _list(_at(pod, "status", "conditions")):
        if _at(condition, "type") == "Ready" and _at(condition, "status") == "True":
            yield f"[{address}]" if ":" in address else address


def _at(value: object, *path: str) -> object:
    for part in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
