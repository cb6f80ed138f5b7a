"""Limits under test: a store with a clock of its own, its levels, and asserting a refusal."""

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
# A clock that begins at 0 would have buckets that were never used look as if they were.
_FIRST_US = 10**15


class LimitedResponse(Protocol):
    """A response as a client of any kind has it: httpx, requests, Starlette, Django, Flask."""

    @property
    def status_code(self) -> int:
        """The status."""

    @property
    def headers(self) -> Mapping[str, Any]:
        """The header fields, looked up in any case."""


class Limits:
    """The store of a mesh under test, whose time passes when it is told to.

    Give `store` to the mesh. Buckets refill and reservations end by this clock; which window of a
    budget it is says the time of the day.
    """

    def __init__(self) -> None:
        """Begin with every bucket full."""
        self._now_us = _FIRST_US
        self.store = MemoryStore(clock_us=lambda: self._now_us)

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass for limits."""
        self._now_us += round(seconds * 1e6)

    def left(self, mesh: Mesh, name: str, **by: str | None) -> float:
        """Return what is left of a limit or a budget; negative for a debt.

        Args:
            mesh: the mesh.
            name: policy and item, such as `team/per-consumer`; of another namespace than the
                default with it: `b/team/per-consumer`.
            **by: the value of each thing that it counts by, such as `consumer="alice"`; what is
                left out is missing from the request.

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
        return rate.units(self.store.left_us(key, rate.capacity_us))


def _items(mesh: Mesh) -> Iterator[Item]:
    for rule in (rule for host in mesh._table.hosts for rule in host.rules):
        layers = (*rule.policies, *(backend.policy for backend in rule.backends))
        for layer in layers:
            yield from getattr(layer, "items", ())


def assert_limited(
    response: LimitedResponse, item: str | None = None, *, is_worth_a_retry: bool | None = None
) -> None:
    """Assert that a limit or a budget of the mesh has refused the request that `response` answers.

    Args:
        response: the answer as any client has it.
        item: the name of the limit or budget.
        is_worth_a_retry: whether SDKs are left to come again, as they do unless the wait is long.

    Raises:
        AssertionError: it has not; the message says why.
    """
    text = _text(response)
    if response.status_code != 429:
        raise AssertionError(f"expected a refusal by a limit; the status is {response.status_code}")
    if "x-llm-mesh-provider" in response.headers:
        raise AssertionError("it is the 429 of a provider, not of the mesh")
    if item is not None and repr(item) not in text:
        raise AssertionError(f"expected {item!r} to refuse; the answer is {text}")
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
