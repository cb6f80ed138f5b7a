"""An endpoint picker of our own: a gRPC server whose messages protobuf itself reads and writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_TYPES = descriptor_pb2.FieldDescriptorProto
# Message: field, number, type; a name of a message stands for that message, `*` for several.
_MESSAGES: dict[str, list[tuple[str, int, str]]] = {
    "HeaderValue": [("key", 1, "string"), ("value", 2, "string"), ("raw_value", 3, "bytes")],
    "HeaderMap": [("headers", 1, "HeaderValue*")],
    "HttpHeaders": [("headers", 1, "HeaderMap"), ("end_of_stream", 3, "bool")],
    "HttpBody": [("body", 1, "bytes"), ("end_of_stream", 2, "bool")],
    "ProcessingRequest": [("request_headers", 2, "HttpHeaders"), ("request_body", 4, "HttpBody")],
    "HeaderValueOption": [("header", 1, "HeaderValue"), ("append_action", 3, "int32")],
    "HeaderMutation": [("set_headers", 1, "HeaderValueOption*"), ("remove_headers", 2, "string*")],
    "CommonResponse": [("status", 1, "int32"), ("header_mutation", 2, "HeaderMutation")],
    "HeadersResponse": [("response", 1, "CommonResponse")],
    "HttpStatus": [("code", 1, "int32")],
    "ImmediateResponse": [("status", 1, "HttpStatus"), ("details", 5, "string")],
    "ProcessingResponse": [
        ("request_headers", 1, "HeadersResponse"),
        ("request_body", 3, "HeadersResponse"),
        ("immediate_response", 7, "ImmediateResponse"),
    ],
}


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="picker.proto", package="p", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            several, kind = kind.endswith("*"), kind.rstrip("*")
            made = message.field.add(name=field, number=number)
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


class Picker:
    """Use it as a context manager. `picks` are the addresses, `status` a refusal if not 0."""

    def __init__(self) -> None:
        self.picks: list[str] = []
        self.status = 0
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(4))
        handler = grpc.stream_stream_rpc_method_handler(self._process)
        service = "envoy.service.ext_proc.v3.ExternalProcessor"
        self._server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, {"Process": handler}),)
        )
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

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

    def _process(self, messages: Iterator[bytes], context: Any) -> Iterator[bytes]:
        """As the pickers of the extension do: the head is held until the body is there."""
        headers: dict[str, str] = {}
        for data in messages:
            message = CLASSES["ProcessingRequest"].FromString(data)
            if message.HasField("request_headers"):
                told = message.request_headers.headers.headers
                headers = {each.key: each.raw_value.decode() for each in told}
                continue
            assert message.request_body.end_of_stream
            with self._lock:
                self.asked.append((headers, message.request_body.body))
            if self.status:
                refusal = CLASSES["ProcessingResponse"]()
                refusal.immediate_response.status.code = self.status
                yield refusal.SerializeToString()
                return
            yield self._destinations()
            yield CLASSES["ProcessingResponse"](request_body={}).SerializeToString()

    def _destinations(self) -> bytes:
        response = CLASSES["ProcessingResponse"]()
        mutation = response.request_headers.response.header_mutation
        other = mutation.set_headers.add().header
        other.key, other.raw_value = "content-length", b"12"
        header = mutation.set_headers.add().header
        header.key = "x-gateway-destination-endpoint"
        header.raw_value = ",".join(self.picks).encode()
        return bytes(response.SerializeToString())
