"""Calls of one kind share what follows from their route, provider and models."""

from __future__ import annotations

from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest, UpstreamRequest
from llm_mesh_middleware._core.values.selection import Selection
from llm_mesh_middleware._telemetry.metrics.limited_names import ModelNames
from llm_mesh_middleware._telemetry.progress import CallProgress
from llm_mesh_middleware._telemetry.spans.call_kinds import CallKind, CallKinds

HOST = Endpoint("api.openai.com", "https", "api.openai.com", 443, "api.openai.com")


class Kinds:
    """The kinds of a mesh whose configuration knows some models."""

    def __init__(self, *models: str) -> None:
        self.models = frozenset(models)
        self.all = CallKinds(ModelNames(lambda: self.models), ("shop", "prod"))

    def of(self, model: str, client_model: str = "fast", rule: str = "paid") -> CallKind:
        client = ClientRequest("POST", "/", Headers(()), host="llm", model=client_model)
        progress = CallProgress(client, 0.0, Selection("route", rule))
        sent = UpstreamRequest(HOST, "POST", "/", (), b"", 1.0, provider="openai", model=model)
        return self.all.of(progress, sent)

    def labels(self, kind: CallKind, response_model: str | None) -> dict[str, str | int]:
        return self.all.account(kind, response_model, None).labels.plain


def test_calls_that_differ_in_nothing_share_one_kind_and_its_account() -> None:
    kinds = Kinds("m-1")

    first, second = kinds.of("m-1"), kinds.of("m-1")

    assert first is second
    assert kinds.all.account(first, "m-1", None) is kinds.all.account(first, "m-1", None)
    assert kinds.all.account(first, "m-1", None) is not kinds.all.account(first, "m-1", "500")
    assert kinds.of("m-2") is not first is not kinds.of("m-1", rule="free")


def test_a_model_gets_its_own_label_once_the_configuration_names_it() -> None:
    kinds = Kinds("m-1")
    assert kinds.labels(kinds.of("m-2"), None)["gen_ai.request.model"] == "_other"

    kinds.models = frozenset(("m-1", "m-2"))

    assert kinds.labels(kinds.of("m-2"), None)["gen_ai.request.model"] == "m-2"


def test_models_of_responses_beyond_a_hundred_share_one_account() -> None:
    kinds = Kinds()
    kind = kinds.of("m")

    found = {id(kinds.all.account(kind, f"model-{n}", None)) for n in range(200)}

    assert len(found) == len(kind.accounts) == 101
    assert kinds.labels(kind, "model-7")["gen_ai.response.model"] == "model-7"
    assert kinds.labels(kind, "model-170")["gen_ai.response.model"] == "_other"


def test_of_a_long_name_from_a_client_its_beginning_is_kept() -> None:
    kinds = Kinds()

    kind = kinds.of("x" * 1000, client_model="x" * 1000)

    assert kind is kinds.of("x" * 2000, client_model="x" * 2000)
    assert kind.attributes["llm_mesh.request.model"] == "x" * 256
    assert len(kind.span_name) < 300


def test_kinds_are_limited_in_number() -> None:
    kinds = Kinds()

    for n in range(3000):
        kinds.of("m", client_model=f"model-{n}")

    assert len(kinds.all._kinds) <= 512
