"""The destinations of a mesh's telemetry, and its options."""

from __future__ import annotations

import msgspec
from opentelemetry.trace import Tracer

from .metrics.instruments import MeshMetrics
from .metrics.limited_names import FieldNames, ModelNames
from .records.content import ContentCapture
from .records.events import Events
from .spans.attempts import AttemptSpans
from .spans.call_kinds import CallKinds
from .spans.scope import ClientScope
from .spans.server import ServerSpans

__all__ = ["Sinks"]


class Sinks(msgspec.Struct, frozen=True):
    """Made once per mesh. Without an SDK these are the API's no-op implementation.

    `cost_attributes` are the attributes of a call that label its costs.
    """

    tracer: Tracer
    server_spans: ServerSpans | None
    attempt_spans: AttemptSpans
    client_scope: ClientScope
    metrics: MeshMetrics
    models: ModelNames
    kinds: CallKinds
    fields: FieldNames
    has_chunk_metrics: bool
    cost_attributes: tuple[str, ...]
    events: Events
    content: ContentCapture
