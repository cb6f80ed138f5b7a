"""The contenders, a table: to add one, write its app and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.benchmarks.wire import ASKED_MODEL, CHAT_PATH, MODEL

__all__ = ["BASELINES", "CONTENDERS", "DOCUMENTED_CONTENDERS", "Contender", "baseline_of"]

_APPS = "tests.benchmarks.apps"


@dataclass(frozen=True, slots=True)
class Contender:
    """One app under test.

    `app` is `module:factory`; the factory takes the `Origin` and `options`. `server` is what serves
    it. `kinds` are the kinds of scenario it takes part in, `model` is what the client asks it for,
    at `path`.
    `budgets` are the highest ratios to the baseline that are fine, by kind; `baseline` is another
    one than its kind's. Above `max_in_flight` it is left out, and where the upstream has TLS if it
    trusts no CA of ours. One that `is_foreign` runs only if it was found (`foreign`), and may
    change responses: only their status is checked.
    """

    app: str
    kinds: tuple[str, ...] = ("unary", "sse")
    model: str = ASKED_MODEL
    path: str = CHAT_PATH
    options: Mapping[str, object] = field(default_factory=dict)
    budgets: Mapping[str, float] = field(default_factory=dict)
    baseline: str | None = None
    server: str = "uvicorn"
    max_in_flight: int = 10_000
    trusts_our_ca: bool = True
    is_foreign: bool = False


# A relay sets nothing, so its client has to name the right model. httpx takes CPU in proportion to
# what is in flight: 64 is where a run still ends within reason. A WSGI server has as many threads;
# waitress ends a connection with a stream, which the load does not expect.
# The SDK's own work is the same for every chunk and every request, so it has no budget for chunks.
CONTENDERS: Mapping[str, Contender] = {
    "bare": Contender(f"{_APPS}.bare:make", kinds=("pass",)),
    "bare+middleware": Contender(f"{_APPS}.mesh:make", kinds=("pass",)),
    "aiohttp-relay": Contender(f"{_APPS}.aiohttp_relay:make", model=MODEL),
    "httpx-relay": Contender(f"{_APPS}.httpx_relay:make", model=MODEL, max_in_flight=64),
    "mesh": Contender(f"{_APPS}.mesh:make", budgets={"unary": 1.1, "sse": 1.1}),
    "mesh-sdk": Contender(f"{_APPS}.mesh:make_observed", budgets={"unary": 2.2}),
    "mesh-own-sdk": Contender(f"{_APPS}.mesh:make_owned", budgets={"unary": 1.5}),
    "mesh-everything": Contender(f"{_APPS}.mesh:make_with_everything"),
    "mesh-cached": Contender(
        f"{_APPS}.mesh_with_policy:make_cached", kinds=("unary",), budgets={"unary": 1.0}
    ),
    "serve": Contender(f"{_APPS}.sidecar:make", server="itself", budgets={"unary": 1.0}),
    "serve-silent": Contender(
        f"{_APPS}.sidecar:make", server="itself", options={"arguments": ("--no-access-log",)}
    ),
    "serve-sdk": Contender(
        f"{_APPS}.sidecar:make",
        server="itself",
        options={"exports": True},
    ),
    "mesh-httpx": Contender(
        f"{_APPS}.mesh:make", options={"upstream_client": "httpx"}, max_in_flight=64
    ),
    "wsgi-relay": Contender(
        f"{_APPS}.wsgi_relay:make",
        kinds=("unary",),
        model=MODEL,
        server="waitress",
        max_in_flight=64,
    ),
    "mesh-wsgi": Contender(
        f"{_APPS}.mesh:make_wsgi",
        kinds=("unary",),
        baseline="wsgi-relay",
        server="waitress",
        max_in_flight=64,
    ),
    "litellm": Contender(
        f"{_APPS}.litellm_proxy:make", kinds=("unary",), max_in_flight=64, is_foreign=True
    ),
    "portkey": Contender(
        f"{_APPS}.programs:make_portkey",
        kinds=("unary",),
        server="program",
        max_in_flight=64,
        is_foreign=True,
    ),
    "envoy": Contender(
        f"{_APPS}.programs:make_envoy", model=MODEL, server="program", is_foreign=True
    ),
    "envoy-exported": Contender(
        f"{_APPS}.programs:make_exported_envoy", server="program", is_foreign=True
    ),
    "smg": Contender(
        f"{_APPS}.programs:make_smg",
        model=MODEL,
        server="program",
        trusts_our_ca=False,
        is_foreign=True,
    ),
    "tensorzero": Contender(
        f"{_APPS}.tensorzero_gateway:make",
        kinds=("unary",),
        model=f"tensorzero::model_name::{MODEL}",
        path="/openai/v1/chat/completions",
        server="library",
        is_foreign=True,
    ),
}

DOCUMENTED_CONTENDERS = (
    "aiohttp-relay",
    "mesh",
    "mesh-sdk",
    "mesh-own-sdk",
    "serve",
    "serve-silent",
    "serve-sdk",
)

# What the others of a kind are measured against.
BASELINES = {"pass": "bare", "unary": "aiohttp-relay", "sse": "aiohttp-relay"}


def baseline_of(name: str, kind: str) -> str:
    """What the contender is measured against in scenarios of that kind."""
    return CONTENDERS[name].baseline or BASELINES[kind]
