"""The kinds of calls: the same operation, models, provider and rule.

The name of a call's span, the attributes that it starts with and the labels of its metrics follow
from these, so they are made once for each kind of calls. Calls of one kind end in few ways, by
status, model and reason, from which most attributes follow that they end with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from ..._core.values.messages import UpstreamRequest
from ..._core.values.operations import Operation
from ..._core.values.selection import Selection
from ..._core.values.summary import AnswerSummary
from .. import semconv
from ..ending import Ending
from ..metrics.labels import CallKey, call_labels, has_output
from ..metrics.ledger import Account
from ..metrics.limited_names import ModelNames
from ..progress import CallProgress, operation_name
from ..records.access_log import clean
from .call_ends import CallEnd
from .propagation import Propagation
from .request_attributes import AttributeValue

__all__ = ["CallKind", "CallKinds"]

_MAX_TEXT = 256
_MAX_KINDS = 512
_MAX_ENDS = 64
_MAX_END_CHARS = 1024
_NO_SUMMARY = AnswerSummary()
_API_TYPES = {"/chat/completions": "chat_completions", "/responses": "responses"}


class _Key(NamedTuple):
    operation: Operation | None
    vendor: str
    provider: str
    host: str
    port: int
    virtual_host: str
    model: str | None
    client_model: str | None
    selection: Selection | None


class CallKind(msgspec.Struct, frozen=True):
    """Calls of one kind; `attributes` must not be changed. `has_output` is as in `CallLabels`.

    `untraced` is the propagation of which their configuration sets no field, None if it may.
    `accounts` are those of the metrics, by the label of the response's model and the type of the
    error; `ends` are by all that their attributes follow from.
    """

    key: _Key
    span_name: str
    has_output: bool
    attributes: Mapping[str, AttributeValue]
    untraced: Propagation | None
    accounts: dict[tuple[str | None, str | None], Account] = {}
    ends: dict[tuple[object, ...], CallEnd] = {}


class CallKinds:
    """The kinds of calls that a mesh has had since its configuration changed."""

    def __init__(self, models: ModelNames, workload: tuple[str, str] | None) -> None:
        """`models` limits the labels for models, `workload` is as in `CallKey`."""
        self._models = models
        self._workload = workload
        self._configured: frozenset[str] = frozenset()
        self._kinds: dict[tuple[object, ...], CallKind] = {}

    def of(
        self,
        progress: CallProgress,
        request: UpstreamRequest,
        propagation: Propagation | None = None,
    ) -> CallKind:
        """Return the kind of a call, as it is sent to a provider."""
        client, endpoint, configured = progress.request, request.endpoint, self._models.configured()
        model, client_model = request.model, client.model
        if client_model is not None and len(client_model) > _MAX_TEXT:  # it may be any text
            client_model, model = client_model[:_MAX_TEXT], model and model[:_MAX_TEXT]
        if configured is not self._configured:  # labels depend on them
            self._configured, self._kinds = configured, {}
        key = (
            client.operation,
            request.vendor,
            request.provider,
            endpoint.provider_host,
            endpoint.port,
            client.host,
            model,
            client_model,
            progress.selection,
        )
        found = self._kinds.get(key)
        return self._enter(_Key._make(key), request, propagation) if found is None else found

    def end(self, kind: CallKind, progress: CallProgress, ending: Ending) -> CallEnd:
        """Return how a call has ended; `kind` is that of its last attempt."""
        last, summary = progress.last, progress.summary or _NO_SUMMARY
        key = (
            progress.attempts,
            ending.status,
            ending.error_type,
            ending.error is None,
            ending.usage is None,
            ending.outcome if progress.is_stream else None,
            last and last.preferred_host,
            last and last.added_usage,
            last and last.dropped,
            summary is _NO_SUMMARY,
            summary.model,
            summary.system_fingerprint,
            summary.service_tier,
            summary.finish_reasons,
            summary.dropped,
        )
        found = kind.ends.get(key)
        if found is None:
            found = self._ended(kind, progress, ending)
            if len(str(key)) <= _MAX_END_CHARS:
                if len(kind.ends) >= _MAX_ENDS:
                    kind.ends.clear()
                kind.ends[key] = found
        return found

    def account(
        self, kind: CallKind, response_model: str | None, error_type: str | None
    ) -> Account:
        """Return the account of calls of this kind that have the same labels."""
        found = kind.accounts.get((response_model, error_type))
        if found is None:  # it is new, or one of too many
            label = self._models.returned(response_model)
            found = kind.accounts.get((label, error_type)) or self._open(kind, label, error_type)
        return found

    def _enter(
        self, key: _Key, request: UpstreamRequest, propagation: Propagation | None
    ) -> CallKind:
        if len(self._kinds) >= _MAX_KINDS:
            self._kinds.clear()
        name = operation_name(key.operation)
        span_name = f"{name} {clean(key.model)}" if key.model else name
        names = {field for field, _ in request.headers}  # the client's, and those configured
        if propagation is not None and not propagation.written.isdisjoint(names):
            propagation = None
        made = CallKind(key, span_name, has_output(name), _attributes(key), propagation)
        self._kinds[key] = made
        return made

    def _ended(self, kind: CallKind, progress: CallProgress, ending: Ending) -> CallEnd:
        model = None if progress.summary is None else progress.summary.model
        account = self.account(kind, model, ending.error_type)
        return CallEnd.of(progress, ending, account)

    def _open(self, kind: CallKind, response_model: str | None, error_type: str | None) -> Account:
        call, selection = kind.key, kind.key.selection
        labels = call_labels(
            CallKey(
                self._workload,
                operation_name(call.operation),
                call.vendor,
                call.provider,
                call.host,
                call.port,
                self._models.requested(call.model),
                response_model,
                None if selection is None else selection.route,
                None if selection is None else selection.rule,
                error_type,
            )
        )
        made = kind.accounts[response_model, error_type] = Account(labels)
        return made


def _attributes(key: _Key) -> dict[str, AttributeValue]:
    """Return the attributes that a sampler may use, and those of the routing decision."""
    selection, suffix = key.selection, "" if key.operation is None else key.operation.suffix
    known: dict[str, AttributeValue | None] = {
        semconv.OPERATION: operation_name(key.operation),
        semconv.PROVIDER: semconv.provider_name(key.host, key.vendor, key.provider),
        semconv.PROVIDER_NAME: key.provider,
        semconv.SERVER_ADDRESS: key.host,
        semconv.SERVER_PORT: key.port,
        semconv.VIRTUAL_HOST: key.virtual_host,
        semconv.REQUEST_MODEL: key.model,
        semconv.CLIENT_MODEL: key.client_model,
        semconv.ROUTE_NAME: None if selection is None else selection.route,
        semconv.RULE_NAME: None if selection is None else selection.rule,
        semconv.STICKY_MISSING: (selection is not None and selection.lacks_sticky_key) or None,
        semconv.OPENAI_API_TYPE: _API_TYPES.get(suffix),
    }
    return {name: value for name, value in known.items() if value is not None}
