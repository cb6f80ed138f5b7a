"""Limits under test: a store with its own clock, its levels, and an assertion about refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from time import time
from typing import TYPE_CHECKING, Any, Protocol

from ..._core.limiting.budget import Budget
from ..._core.limiting.item import Item
from ..._core.limiting.limit import Limit
from ..._engine.ports.memory import MemoryStore

if TYPE_CHECKING:
    from ...mesh import Mesh

__all__ = ["LimitedResponse", "Limits", "assert_limited"]

_NANO = 10**9
# With a clock that begins at 0, unused buckets would look used.
_FIRST_US = 10**15


class LimitedResponse(Protocol):
    """A response of any client library: httpx, requests, Starlette, Django, Flask."""

    @property
    def status_code(self) -> int:
        """The status."""

    @property
    def headers(self) -> Mapping[str, Any]:
        """The header fields, looked up in any case."""


class Limits:
    """The store of a mesh under test, whose clock moves only by `pass_time`.

    Give `store` to the mesh. Buckets refill and reservations expire by this clock; the windows of
    budgets follow the real time.
    """

    def __init__(self) -> None:
        """Begin with every bucket full."""
        self._now_us = _FIRST_US
        self.store = MemoryStore(clock_us=lambda: self._now_us)

    def pass_time(self, seconds: float) -> None:
        """Move the clock of limits forward."""
        self._now_us += round(seconds * 1e6)

    def left(self, mesh: Mesh, name: str, **by: str | None) -> float:
        """Return what is left of a limit or a budget; negative for a debt.

        Args:
            mesh: the mesh.
            name: policy and item, such as `team/per-consumer`; with the namespace if that
                is not the default, `b/team/per-consumer`.
            **by: the values that it counts by, such as `consumer="alice"`; an omitted one means a
                request without it.

        Raises:
            LookupError: the mesh has no such item.
        """
        full = name if name.count("/") == 2 else f"{mesh.settings.namespace}/{name}"
        found = [item for item in _items(mesh) if f"{item.policy}/{item.name}" == full]
        if not found:
            known = sorted({f"{item.policy}/{item.name}" for item in _items(mesh)})
            raise LookupError(f"no limit {full!r}; expected one of: {', '.join(known) or 'none'}")
        item = found[0]
        key = item.key(tuple(by.get(part.key or part.kind) for part in item.by))
        if isinstance(item, Budget):
            window = f"{key}:{item.calendar.window(time()).name}"
            spent = self.store.spent(window) + self.store.reserved(window)
            return (item.amount - spent) / _NANO
        if not isinstance(item, Limit) or item.rate is None:
            return (item.slots if isinstance(item, Limit) else 0) - self.store.taken(key)
        rate = item.rate
        return rate.units(self.store.remaining_us(key, rate.capacity_us))


def _items(mesh: Mesh) -> Iterator[Item]:
    for rule in (rule for host in mesh._table.hosts for rule in host.rules):
        layers = (*rule.policies, *(backend.policy for backend in rule.backends))
        for layer in layers:
            yield from getattr(layer, "items", ())


def assert_limited(
    response: LimitedResponse, item: str | None = None, *, is_worth_a_retry: bool | None = None
) -> None:
    """Assert that `response` is the refusal of a limit or a budget of the mesh.

    Args:
        response: the response, of any client library.
        item: the name of the limit or budget.
        is_worth_a_retry: whether SDKs may retry, which they may unless the wait is long.

    Raises:
        AssertionError: it is not; the message says why.
    """
    text = _text(response)
    if response.status_code != 429:
        raise AssertionError(f"expected a refusal by a limit; the status is {response.status_code}")
    if "x-llm-mesh-provider" in response.headers:
        raise AssertionError("it is the 429 of a provider, not of the mesh")
    if item is not None and repr(item) not in text:
        raise AssertionError(f"expected {item!r} to refuse; the response is {text}")
    is_retried = response.headers.get("x-should-retry") != "false"
    if is_worth_a_retry not in (None, is_retried):
        verb = "may" if is_retried else "must not"
        raise AssertionError(f"SDKs {verb} retry: {text}")


def _text(response: Any) -> str:
    for name in ("text", "content", "data"):  # of httpx and the like, Django, Flask
        found = getattr(response, name, None)
        if isinstance(found, bytes):
            return found.decode("utf-8", "replace")
        if isinstance(found, str):
            return found
    return ""
