"""Two calls of one request on a scripted client: what is opened is closed, whoever goes when."""

from __future__ import annotations

import asyncio
import time

import pytest

from llm_mesh_middleware._core.values.endpoint import Endpoint
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import Deadline, ResponseHead, UpstreamRequest
from llm_mesh_middleware._core.values.steps import Race, Send
from llm_mesh_middleware._engine.drivers.async_race import arace
from llm_mesh_middleware.exceptions import UpstreamConnectError


class Response:
    """An answer of which only the head matters."""

    def __init__(self, status: int) -> None:
        self.head = ResponseHead(status, Headers([]))
        self.is_closed = False

    async def read(self) -> bytes:
        return b""

    async def aclose(self) -> None:
        self.is_closed = True


class Client:
    """Answers each provider as it is told: a status, or None for a refusal, after a time.

    A call that is cancelled takes `farewell_s` to end.
    """

    def __init__(self, farewell_s: float = 0.0, **answers: tuple[float, int | None]) -> None:
        self.opened: list[Response] = []
        self._answers = answers
        self._farewell_s = farewell_s

    async def open(self, request: UpstreamRequest) -> Response:
        seconds, status = self._answers[request.endpoint.provider_host]
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            await asyncio.sleep(self._farewell_s)
            raise
        if status is None:
            raise UpstreamConnectError("refused")
        self.opened.append(Response(status))
        return self.opened[-1]

    async def aclose(self) -> None:
        """Nothing to close."""


def send(host: str) -> Send:
    endpoint = Endpoint(host, "http", "127.0.0.1", 9, host)
    request = UpstreamRequest(endpoint, "POST", "/", (), b"", 1.0)
    return Send(request, Deadline(time.monotonic() + 5, "first_byte", 5, host))


def race(after_s: float = 0.01) -> Race:
    return Race(send("a"), lambda: send("b"), after_s, lambda head: head.status == 200)


@pytest.mark.parametrize(
    ("a", "b", "winner", "status"),
    [
        ((0.0, 200), (0.0, 200), 0, 200),
        ((5.0, 200), (0.0, 200), 1, 200),
        ((0.03, 200), (5.0, 200), 0, 200),
        ((0.03, 503), (0.05, 200), 1, 200),
        ((0.05, 200), (0.0, None), 0, 200),
        ((0.03, None), (0.05, 200), 1, 200),
        ((0.03, 503), (0.04, None), 0, 503),
        ((0.04, None), (0.01, 503), 1, 503),
        ((0.03, 503), (0.04, 429), 1, 429),
    ],
)
async def test_the_first_good_answer_wins_and_every_other_is_closed(
    a: tuple[float, int | None], b: tuple[float, int | None], winner: int, status: int
) -> None:
    client = Client(a=a, b=b)
    raced, response = await arace(race(), client)
    assert raced.winner == winner
    assert response is not None
    assert response.head.status == status
    assert [one.is_closed for one in client.opened] == [
        one is not response for one in client.opened
    ]
    assert len(asyncio.all_tasks()) == 1


async def test_when_both_fail_there_is_no_response() -> None:
    raced, response = await arace(race(), Client(a=(0.02, None), b=(0.02, None)))
    assert response is None
    assert [type(answer).__name__ for answer in raced.results] == ["Failure", "Failure"]


@pytest.mark.parametrize("gone_after_s", [0.005, 0.02, 0.035])
async def test_who_goes_away_leaves_no_answer_open_be_it_the_winner(gone_after_s: float) -> None:
    """At the last of these moments the winner is known, and the loser is being given up."""
    client = Client(farewell_s=0.05, a=(0.03, 200), b=(5.0, 200))
    task = asyncio.create_task(arace(race(), client))
    await asyncio.sleep(gone_after_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(response.is_closed for response in client.opened)
    assert len(asyncio.all_tasks()) == 1


async def test_an_error_that_nobody_expects_leaves_nothing_open() -> None:
    client = Client(a=(0.03, 200))  # of b it knows nothing
    with pytest.raises(KeyError):
        await arace(race(), client)
    assert all(response.is_closed for response in client.opened)
    assert len(asyncio.all_tasks()) == 1
