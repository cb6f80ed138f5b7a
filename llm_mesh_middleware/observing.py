"""Observers: callables that follow every exchange of a mesh.

    class Latency(Observation):
        def replying(self, *, attempt, is_stream): ...

    mesh = Mesh("mesh.yaml", observer=lambda request: Latency())

`Mesh(observer=...)` calls the observer with each request, and the hooks of the `Observation` that
it returns while the exchange goes on. A hook is a plain call on the request path: it must be fast
and must not block. An exception in it is logged once and does not affect the request.
"""

from __future__ import annotations

from ._core.flow.mirrors.outcome import MirrorLeg, MirrorOutcome, MirrorResult
from ._core.flow.observer import Observation, Observer
from ._core.pricing.charge import Charge
from ._core.values.decision import Decision
from ._core.values.endpoint import Endpoint, TLSFiles
from ._core.values.headers import Headers
from ._core.values.messages import ClientRequest, Failure, ResponseHead, UpstreamRequest
from ._core.values.operations import Operation
from ._core.values.selection import Selection
from ._core.values.summary import AnswerSummary
from ._core.values.usage import Usage

__all__ = [
    "AnswerSummary",
    "Charge",
    "ClientRequest",
    "Decision",
    "Endpoint",
    "Failure",
    "Headers",
    "MirrorLeg",
    "MirrorOutcome",
    "MirrorResult",
    "Observation",
    "Observer",
    "Operation",
    "ResponseHead",
    "Selection",
    "TLSFiles",
    "UpstreamRequest",
    "Usage",
]
