"""An OpenAI-compatible provider inside your tests: real sockets, real TLS, any fault on demand.

`FakeUpstream` listens on a free port of 127.0.0.1 in a separate thread, so synchronous,
asynchronous and subprocess tests can use it. Without a script it behaves like a small provider:

>>> import http.client, json
>>> from llm_mesh_middleware.testing import FakeUpstream
>>> with FakeUpstream(host_names=("llm.example",), tls=False) as upstream:
...     client = http.client.HTTPConnection("127.0.0.1", upstream.port)
...     body = {"model": "m-1", "messages": [{"role": "user", "content": "Good morning"}]}
...     client.request("POST", "/v1/chat/completions", json.dumps(body))
...     json.load(client.getresponse())["choices"][0]["message"]["content"]
...     client.close()
...     upstream.requests[0].json()["model"]
'You said: Good morning'
'm-1'

`upstream.script(...)` queues answers, one per request; `upstream.always(...)` sets the answer to
all others. An answer is a value, a wrapper around one, or a function from the request to one of
these. A wrapper without an answer, and a function that returns None, stand for the provider's own
answer.

| wanted | written |
|---|---|
| a status, headers, a body | `Answer(429, [("retry-after", "1")], error_body("Slow down"))` |
| an event stream | `Stream(chat_stream(["Hel", "lo"]))` |
| a stream that waits in the middle | `Stream([first, 0.05, second, gate, third])` |
| a stream that breaks after two events | `Stream(events[:2], end="reset")` |
| other ways to break it | `end="fin"`, `"stall"`, `"bad_chunk"` |
| closed or reset without a byte | `Cut()`, `Cut(how="reset")` |
| the request is read, nothing is answered | `Cut(how="stall")` |
| half the headers, 40 % of the answer | `Cut(after=20)`, `Cut(answer, at=0.4, how="reset")` |
| one byte at a time, headers too | `Drip(answer, interval=0.01)` |
| a length that lies | `Answer(headers=[("content-length", "999")], body=...)` |
| any bytes at all | `Raw(b"HTTP/1.1 200 OK\\r\\n...")` |
| no greeting, no TLS handshake, only a TCP connection | `FakeUpstream(mute=True)` |
| a bad certificate | `FakeUpstream(tls=ca.issue(name, expired=True))`, `self_signed=True` |
| refused connections, and back again | `upstream.close()`, `upstream.start()`: the port stays |
| kept-alive connections that die while idle | `upstream.drop_connections()` |

`upstream.requests` has the requests; each `RecordedRequest` also has the time when its client left
before the answer was complete (`disconnected_at`, `wait_disconnected()`), or when the answer was
sent (`answered_at`, `wait_answered()`). The waiting methods block: in an async test, write
`await asyncio.to_thread(request.wait_disconnected, 0.5)`.

`MemoryUpstream` is the same without a socket, as the transport of a mesh under test.
`assert_routed(response, provider=..., rule=..., model=...)` checks how a request was routed;
`assert_blocked(response, guard=...)`, `assert_cached(response)` and `assert_limited(response)`
check what policies did with it. `Limits` is a store of limits whose clock the test moves.

To put a `FakeUpstream` behind the mesh, give `upstream.endpoints` as `LLM_MESH_ENDPOINTS` and the
file written by `upstream.ca.write(path)` as `LLM_MESH_CA_FILE`. TLS needs the `trustme` library:
install `llm-mesh-middleware[cli]`.
"""

from __future__ import annotations

from ._answers import Answer, Cut, Drip, Gate, Raw, Scripted, Stream
from ._bodies import chat_completion, chat_stream, error_body, token_usage
from ._certificates import CertificateAuthority
from ._judging.limited import LimitedResponse, Limits, assert_limited
from ._judging.policies import assert_blocked, assert_cached
from ._judging.routed import RoutedResponse, assert_routed
from ._memory import MemoryUpstream
from ._requests import RecordedRequest
from ._server import FakeUpstream

__all__ = [
    "Answer",
    "CertificateAuthority",
    "Cut",
    "Drip",
    "FakeUpstream",
    "Gate",
    "LimitedResponse",
    "Limits",
    "MemoryUpstream",
    "Raw",
    "RecordedRequest",
    "RoutedResponse",
    "Scripted",
    "Stream",
    "assert_blocked",
    "assert_cached",
    "assert_limited",
    "assert_routed",
    "chat_completion",
    "chat_stream",
    "error_body",
    "token_usage",
]
