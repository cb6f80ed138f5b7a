"""A provider without a socket: an httpx transport that answers as `FakeUpstream` would."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import httpx

from ._answers import Answer, AnswerValue, Cut, Scripted, Stream
from ._provider import Provider
from ._requests import RecordedRequest
from ._script import Script
from ._wire import encoded_answer

__all__ = ["MemoryUpstream"]


class MemoryUpstream(httpx.MockTransport):
    """A transport for `Mesh(config, transport=upstream)`, with which no test opens a socket.

    It stands for every provider; the `host` header of a request names the one that was called.
    Without a script it behaves like a small provider. For faults that need a socket, such as slow
    bytes, use `FakeUpstream`; waits between the pieces of a `Stream` take no time here.

    Args:
        models: what `GET */models` lists; requests may name any model.
    """

    def __init__(self, *, models: Sequence[str] = ("fake-model",)) -> None:
        super().__init__(self._respond)
        self._provider = Provider(models=tuple(models))
        self._script = Script()
        self._requests: list[RecordedRequest] = []

    def script(self, *answers: Scripted) -> None:
        """Queue answers, one per request; then the one of `always` is used again."""
        self._script.add(*answers)

    def always(self, answer: Scripted | None) -> None:
        """Set the answer to all requests without a queued one; None for the provider's own."""
        self._script.stand(answer)

    def clear(self) -> None:
        """Forget requests, the script and the standing answer."""
        self._requests.clear()
        self._script.clear()

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far, in the order they came."""
        return list(self._requests)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        recorded = RecordedRequest(
            request.method,
            request.url.raw_path.decode("ascii"),
            [(name.decode("latin-1"), v.decode("latin-1")) for name, v in request.headers.raw],
            request.content,
            number=len(self._requests) + 1,
        )
        self._requests.append(recorded)
        return _response(self._script.take(recorded) or self._provider.answer(recorded))


def _response(answer: AnswerValue) -> httpx.Response:
    match answer:
        case Answer():
            body, fields = encoded_answer(answer)
            return httpx.Response(answer.status, headers=fields, content=body)
        case Stream():
            return httpx.Response(
                answer.status, headers=list(answer.headers), stream=_Pieces(answer)
            )
        case Cut(answer=None, how="stall"):
            raise httpx.ReadTimeout("the provider was told to say nothing")
        case Cut(answer=None):
            raise httpx.ReadError("the provider was told to hang up")
    raise TypeError(f"{type(answer).__name__} needs a socket: use FakeUpstream")


class _Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The pieces of a stream, and its end."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._stream.chunks:
            if isinstance(chunk, bytes):
                yield chunk
        if self._stream.end == "stall":
            raise httpx.ReadTimeout("the provider was told to stall")
        if self._stream.end != "done":
            raise httpx.ReadError("the provider was told to break off")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk
