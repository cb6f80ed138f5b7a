"""Values that all attempts of one request share, and settings that all requests share."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from ...dialect import ServedOperation
from ...http.forwarding import ForwardPolicy
from ...provider.upstream import Upstream
from ...routing.table import RouteRule
from ...routing.timeouts import Timeouts
from ...values.messages import ClientRequest, Deadline
from ..observer import Observation

__all__ = ["CallContext", "ExchangeSettings"]


class ExchangeSettings(msgspec.Struct, frozen=True):
    """Settings of all exchanges of a mesh.

    `show_routing` adds the `x-llm-mesh-*` fields to replies, `show_cost` their costs. `mesh_id`
    names the mesh in `x-llm-mesh-hops`; without it loops are not detected. `key_refused` is called
    with the provider's host and the status if a provider rejects the configured key,
    `fields_dropped` with its host and the names of fields of a request that its dialect does not
    have, or of parts of a response that the client's dialect does not have, `passed_unread` with
    its host and the content coding of a response that cannot be read here.
    """

    max_response_bytes: int = 64 * 2**20
    forward: ForwardPolicy = ForwardPolicy()
    show_routing: bool = True
    show_cost: bool = False
    mesh_id: str = ""
    key_refused: Callable[[str, int], None] = lambda host, status: None
    fields_dropped: Callable[[str, tuple[str, ...]], None] = lambda host, names: None
    passed_unread: Callable[[str, bytes], None] = lambda host, coding: None


class CallContext(msgspec.Struct, frozen=True):
    """Values shared by all attempts of one request.

    `clock` is monotonic: the deadlines of steps are on it. `wall_clock` is for dates that providers
    send. Both are in seconds; `random` returns numbers in [0, 1).
    """

    request: ClientRequest
    operation: ServedOperation
    route: str
    rule: RouteRule
    settings: ExchangeSettings
    timeouts: Timeouts
    deadline: Deadline
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    random: Callable[[], float]
    observation: Observation

    def request_for(self, upstream: Upstream) -> ClientRequest:
        """Return the request, with a mark for ids if its responses are translated."""
        if self.operation not in upstream.conversions:
            return self.request
        # 24 digits, like the ids of responses.
        token = "".join(f"{int(self.random() * 2**48):012x}" for _ in range(2))
        return replace(self.request, mark=(int(self.wall_clock()), token))
