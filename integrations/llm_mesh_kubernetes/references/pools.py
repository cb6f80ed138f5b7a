"""Finds the pools of model servers that routes refer to, and the pods that serve them.

    LLMRoute --backendRef--> InferencePool --selector--> Pods, of which those that are ready serve

A pool becomes a document with the addresses of its pods as its `endpoints`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..connection import Object
from ..resources import is_name, member

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
    own = member(route, "metadata", "namespace")
    for rule in _list(member(route, "spec", "rules")):
        for backend in _list(member(rule, "backendRefs")):
            name = member(backend, "backendRef", "name")
            namespace = member(backend, "backendRef", "namespace") or own
            if is_name(name) and is_name(namespace):
                yield str(namespace), str(name)


def pool_of(name: tuple[str, str], rewrite: Object) -> PoolName:
    """Return the pool whose models a document rewrites; it is in the document's namespace."""
    return name[0], str(member(rewrite, "spec", "poolRef", "name"))


def pods_of(name: PoolName, pool: Object | None) -> PodSelector | None:
    """Return the selector of a pool's pods, or None if it has none.

    A pool of v1 has `matchLabels`, one of v1alpha2 the labels themselves.
    """
    selector = member(pool, "spec", "selector")
    labels = member(selector, "matchLabels") if member(selector, "matchLabels") else selector
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
    address = member(pod, "status", "podIP")
    if not isinstance(address, str) or not address or member(pod, "metadata", "deletionTimestamp"):
        return
    for condition in _list(member(pod, "status", "conditions")):
        if member(condition, "type") == "Ready" and member(condition, "status") == "True":
            yield f"[{address}]" if ":" in address else address


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
