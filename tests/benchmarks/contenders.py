"""The contenders, a table: to add one, write its app and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.benchmarks.wire import ASKED_MODEL, MODEL

__all__ = ["BASELINES", "CONTENDERS", "Contender"]

_APPS = "tests.benchmarks.apps"


@dataclass(frozen=True, slots=True)
class Contender:
    """One app under test.

    `app` is `module:factory`; the factory takes the `Origin` and `options`. `kinds` are the kinds
    of scenario it takes part in, `model` is what the client asks it for. `budgets` are the highest
    ratios to the baseline that are fine, by kind. Above `max_in_flight` it is left out.
    """

    app: str
    kinds: tuple[str, ...] = ("unary", "sse")
    model: str = ASKED_MODEL
    options: Mapping[str, object] = field(default_factory=dict)
    budgets: Mapping[str, float] = field(default_factory=dict)
    max_in_flight: int = 10_000


# A relay sets nothing, so its client has to name the right model. httpx takes CPU in proportion to
# what is in flight: 64 is where a run still ends within reason.
CONTENDERS: Mapping[str, Contender] = {
    "bare": Contender(f"{_APPS}.bare:make", kinds=("pass",)),
    "bare+middleware": Contender(f"{_APPS}.mesh:make", kinds=("pass",)),
    "aiohttp-relay": Contender(f"{_APPS}.aiohttp_relay:make", model=MODEL),
    "httpx-relay": Contender(f"{_APPS}.httpx_relay:make", model=MODEL, max_in_flight=64),
    "mesh": Contender(f"{_APPS}.mesh:make", budgets={"unary": 1.5, "sse": 1.25}),
    "mesh-httpx": Contender(
        f"{_APPS}.mesh:make", options={"upstream_client": "httpx"}, max_in_flight=64
    ),
}

# What the others of a kind are measured against.
BASELINES = {"pass": "bare", "unary": "aiohttp-relay", "sse": "aiohttp-relay"}
