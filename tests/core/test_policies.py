"""Policies around a flow: their order, and what each may do to the request and the reply."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from llm_mesh_middleware._core.flow.policies import Layer, chain
from llm_mesh_middleware._core.flow.reply import Flow, Reply
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.steps import Ask, Body, Refused, ask
from llm_mesh_middleware.exceptions import AccessDenied, ClientDisconnected

REQUEST = ClientRequest("POST", "/", Headers())
Proceed = Callable[[ClientRequest], Flow]


class Answering:
    """A port that knows its answers."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[object] = []

    def ask(self, request: object, until: float | None) -> object:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def run(flow: Flow) -> Reply:
    """Run a flow that asks ports and nothing else."""
    result: object = None
    try:
        while True:
            step = flow.send(result)
            assert isinstance(step, Ask)
            try:
                result = step.port.ask(step.request, step.until)  # type: ignore[union-attr]
            except AccessDenied as error:
                result = Refused(error)
    except StopIteration as stop:
        reply: Reply = stop.value
        return reply


def innermost(request: ClientRequest) -> Flow:
    return Reply(200, [], request.path.encode())
    yield  # a flow is a generator


class Adds:
    """Adds a letter to the path, and to the reply on the way back."""

    def __init__(self, letter: str) -> None:
        self._letter = letter

    def __call__(self, request: ClientRequest, proceed: Proceed) -> Flow:
        letter = self._letter
        reply = yield from proceed(ClientRequest("POST", request.path + letter, Headers()))
        assert isinstance(reply.body, bytes)
        return Reply(reply.status, reply.headers, reply.body + letter.upper().encode())


def test_the_first_policy_is_the_outermost() -> None:
    proceed = chain([Adds("a"), Adds("b"), Adds("c")], innermost)
    assert run(proceed(REQUEST)).body == b"/abcCBA"


def test_a_policy_may_answer_in_place_of_the_rest() -> None:
    def cached(request: ClientRequest, proceed: Proceed) -> Flow:
        return Reply(203, [], b"cached")
        yield

    assert run(chain([Adds("a"), cached, Adds("b")], innermost)(REQUEST)).body == b"cachedA"


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_policy_may_ask_a_port_and_refuse(is_refused: bool) -> None:
    port = Answering(AccessDenied("no")) if is_refused else Answering("/asked")

    def asking(request: ClientRequest, proceed: Proceed) -> Flow:
        path = yield from ask(port, "where")
        return (yield from proceed(ClientRequest("POST", path, Headers())))

    flow = chain([asking], innermost)(REQUEST)
    if is_refused:
        with pytest.raises(AccessDenied):
            run(flow)
    else:
        assert run(flow).body == b"/asked"
    assert port.asked == ["where"]


def test_a_policy_may_see_a_stream_pass_and_settle_when_it_is_ended() -> None:
    port, seen = Answering("settled"), []

    def streaming(request: ClientRequest) -> Flow:
        def pieces() -> Body:
            yield b"one"
            yield b"two"

        return Reply(200, [], pieces())
        yield

    def settling(request: ClientRequest, proceed: Proceed) -> Flow:
        reply = yield from proceed(request)
        assert not isinstance(reply.body, bytes)

        def watched(body: Body) -> Body:
            try:
                for item in body:
                    seen.append(item)
                    yield item
            except ClientDisconnected:
                seen.append((yield from ask(port, "settle")))

        return Reply(reply.status, reply.headers, watched(reply.body))

    policies: list[Layer[ClientRequest]] = [settling]
    body = run(chain(policies, streaming)(REQUEST)).body
    assert not isinstance(body, bytes)
    assert next(body) == b"one"
    step = body.throw(ClientDisconnected("gone"))
    assert isinstance(step, Ask)
    with pytest.raises(StopIteration):
        body.send(step.port.ask(step.request, step.until))  # type: ignore[union-attr]
    assert seen == [b"one", "settled"]
