"""An endpoint picker of our own: a gRPC server whose messages protobuf itself reads and writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_DESTINATION = "x-gateway-destination-endpoint"
_TYPES = descriptor_pb2.FieldDescriptorProto
# Message: field, number, type; a name of a message stands for that message, `*` for several.
_MESSAGES: dict[str, list[tuple[str, int, str]]] = {
    "HeaderValue": [("key", 1, "string"), ("value", 2, "string"), ("raw_value", 3, "bytes")],
    "HeaderMap": [("headers", 1, "HeaderValue*")],
    "HttpHeaders": [("headers", 1, "HeaderMap"), ("end_of_stream", 3, "bool")],
    "HttpBody": [("body", 1, "bytes"), ("end_of_stream", 2, "bool")],
    "Value": [("string_value", 3, "string"), ("struct_value", 5, "Struct")],
    "Entry": [("key", 1, "string"), ("value", 2, "Value")],
    "Struct": [("fields", 1, "Entry*")],
    "Filter": [("key", 1, "string"), ("value", 2, "Struct")],
    "Metadata": [("filter_metadata", 1, "Filter*")],
    "ProcessingRequest": [
        ("request_headers", 2, "HttpHeaders"),
        ("response_headers", 3, "HttpHeaders"),
        ("request_body", 4, "HttpBody"),
        ("metadata_context", 8, "Metadata"),
    ],
    "HeaderValueOption": [("header", 1, "HeaderValue"), ("append_action", 3, "int32")],
    "HeaderMutation": [("set_headers", 1, "HeaderValueOption*"), ("remove_headers", 2, "string*")],
    "CommonResponse": [("status", 1, "int32"), ("header_mutation", 2, "HeaderMutation")],
    "HeadersResponse": [("response", 1, "CommonResponse")],
    "HttpStatus": [("code", 1, "int32")],
    "ImmediateResponse": [("status", 1, "HttpStatus"), ("details", 5, "string")],
    "ProcessingResponse": [
        ("request_headers", 1, "HeadersResponse"),
        ("request_body", 3, "HeadersResponse"),
        ("response_headers", 2, "HeadersResponse"),
        ("immediate_response", 7, "ImmediateResponse"),
        ("dynamic_metadata", 8, "Struct"),
    ],
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="picker.proto", package="p", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for own, number, kind in fields:
            several, kind = kind.endswith("*"), kind.rstrip("*")
            made = message.field.add(name=own, number=number)
            made.label = _TYPES.LABEL_REPEATED if several else _TYPES.LABEL_OPTIONAL
            if kind in _MESSAGES:
                made.type, made.type_name = _TYPES.TYPE_MESSAGE, f".p.{kind}"
            else:
                made.type = getattr(_TYPES, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p.{name}"))
        for name in _MESSAGES
    }


CLASSES = _classes()


@dataclass
class Exchange:
    """The exchange with a picker about one request, and about its response."""

    headers: dict[str, str]
    body: bytes = b""
    pieces: int = 0
    served: list[tuple[str, str]] = field(default_factory=list)
    is_over: bool = False


class Picker:
    """Use it as a context manager. `picks` are the addresses, `status` a refusal if not 0.

    With `certificate` (key and chain, PEM) it speaks TLS. `says` is where it names its picks.
    """

    def __init__(
        self, certificate: tuple[bytes, bytes] | None = None, *, address: str = "127.0.0.1:0"
    ) -> None:
        self.picks: list[str] = []
        self.status = 0
        self.says = "header"
        self.asked: list[Exchange] = []
        self._news = threading.Condition()
        self._server = grpc.server(ThreadPoolExecutor(16))
        handler = grpc.stream_stream_rpc_method_handler(self._process)
        service = "envoy.service.ext_proc.v3.ExternalProcessor"
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Process": handler}),)
        )
        if certificate is None:
            port = self._server.add_insecure_port(address)
        else:
            credentials = grpc.ssl_server_credentials([certificate])
            port = self._server.add_secure_port(address, credentials)
        self.address = f"127.0.0.1:{port}"

    def __enter__(self) -> Picker:
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.stop(0).wait(5)

    def wait_until(self, holds: Callable[[list[Exchange]], bool]) -> None:
        """Wait until something is so of what it was asked."""
        with self._news:
            assert self._news.wait_for(lambda: holds(self.asked), 10), self.asked

    def _process(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """As the pickers of the extension do: the head is held until the body is there."""
        asked = Exchange({})
        try:
            for data in messages:
                yield from self._see(asked, CLASSES["ProcessingRequest"].FromString(data))
                if self.status and asked in self.asked:
                    return
        finally:
            with self._news:
                asked.is_over = True
                self._news.notify_all()

    def _see(self, asked: Exchange, message: Any) -> Iterator[bytes]:
        if message.HasField("request_headers"):
            asked.headers = _fields(message.request_headers)
        elif message.HasField("response_headers"):
            status = _fields(message.response_headers)[":status"]
            with self._news:
                asked.served.append((status, _served(message.metadata_context)))
                self._news.notify_all()
            yield CLASSES["ProcessingResponse"](response_headers={}).SerializeToString()
        else:
            asked.body += message.request_body.body
            asked.pieces += 1
            if message.request_body.end_of_stream:
                with self._news:
                    self.asked.append(asked)
                yield from self._pick()

    def _pick(self) -> Iterator[bytes]:
        if self.status:
            refusal = CLASSES["ProcessingResponse"]()
            refusal.immediate_response.status.code = self.status
            yield refusal.SerializeToString()
            return
        yield self._destinations()
        yield CLASSES["ProcessingResponse"](request_body={}).SerializeToString()

    def _destinations(self) -> bytes:
        response, picks = CLASSES["ProcessingResponse"](request_headers={}), ",".join(self.picks)
        if self.says == "metadata":
            named = response.dynamic_metadata.fields.add(key="envoy.lb").value.struct_value
            named.fields.add(key=_DESTINATION).value.string_value = picks
            return bytes(response.SerializeToString())
        mutation = response.request_headers.response.header_mutation
        other = mutation.set_headers.add().header
        other.key, other.raw_value = "content-length", b"12"
        header = mutation.set_headers.add().header
        header.key, header.raw_value = _DESTINATION, picks.encode()
        return bytes(response.SerializeToString())


def _fields(head: Any) -> dict[str, str]:
    return {each.key: each.raw_value.decode() for each in head.headers.headers}


def _served(metadata: Any) -> str:
    (namespace,) = metadata.filter_metadata
    (named,) = namespace.value.fields
    assert (namespace.key, named.key) == ("envoy.lb", f"{_DESTINATION}-served")
    return str(named.value.string_value)
