"""What a mesh of given manifests says of a request."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from llm_mesh_middleware._core.explaining.explainer import explain_request
from llm_mesh_middleware._core.explaining.explanation import Explanation
from llm_mesh_middleware._core.http.forwarding import ForwardPolicy
from llm_mesh_middleware._core.values.messages import ClientRequest
from tests.core.tables import ACME, GLOBEX, provider, request, route, table

BACKEND = f"backendRefs: [{{providerHost: {ACME}}}]"


def explained(
    *documents: str,
    asked: ClientRequest | None = None,
    forward: ForwardPolicy | None = None,
    environ: Mapping[str, str] | None = None,
    **workload: object,
) -> Explanation:
    """What is told of a request to the host `chat`."""
    asked = request() if asked is None else asked
    asked = replace(asked, host=asked.host or "chat")
    routes = table(*documents, environ=environ or {}, **workload)
    return explain_request(routes, asked, forward=forward or ForwardPolicy())


def reasons(explanation: Explanation) -> list[tuple[str, ...]]:
    return [(rule.outcome, *rule.reasons) for rule in explanation.rules]


def matched(match: str, asked: ClientRequest, **workload: object) -> list[tuple[str, ...]]:
    """The verdict on a rule with one match, before a rule that takes everything."""
    rules = f"- {{name: first, matches: [{match}], {BACKEND}}}\n- {{name: rest, {BACKEND}}}"
    return reasons(explained(provider(), route(rules), asked=asked, **workload))


SPLIT = f"""
- backendRefs:
  - {{providerHost: {ACME}, weight: 3}}
  - {{providerHost: {GLOBEX}, weight: 1}}
  - {{providerHost: third.example, priority: 1}}
  - {{providerHost: fourth.example, priority: 1}}
"""


FOUR = (provider(), provider(GLOBEX), provider("third.example"), provider("fourth.example"))
