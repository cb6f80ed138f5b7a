"""Reads a model server's load from its page of metrics, by the names of known servers.

The page of a busy server has more than 100 KB, of which a handful of lines matter, so it is
searched rather than parsed. A server that runs in several processes has a line for each: queues
add up, of caches the fullest counts.

    server         waiting                       running                       cache
    vLLM           vllm:num_requests_waiting     vllm:num_requests_running     vllm:kv_cache_...
    SGLang         sglang:num_queue_reqs         sglang:num_running_reqs       sglang:token_usage
    Triton         nv_trt_llm_request_metrics{request_type}                    ..._block_metrics
    TensorRT-LLM   trtllm_num_requests_waiting   trtllm_num_requests_running   trtllm_kv_cache_...
    llama.cpp      llamacpp:requests_deferred    llamacpp:requests_processing  llamacpp:kv_cache...
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Final

import msgspec

__all__ = ["ServerLoad", "read_load"]


class ServerLoad(msgspec.Struct, frozen=True, gc=False):
    """The load of one server.

    Attributes:
        waiting: requests in its queue.
        running: requests that it processes.
        cache_used: the fraction of its KV cache that is in use, from 0 to 1.
        adapters: the LoRA adapters that are loaded; None if not reported.
    """

    waiting: int
    running: int = 0
    cache_used: float = 0.0
    adapters: frozenset[str] | None = None


# The name of a metric, and a label that its line must have.
_Series = tuple[bytes, bytes]

_TRITON = b"nv_trt_llm_request_metrics"
_FAMILIES: Final[tuple[tuple[bytes, tuple[_Series, ...], tuple[_Series, ...]], ...]] = (
    (
        b"vllm:num_requests_waiting",
        ((b"vllm:num_requests_running", b""),),
        ((b"vllm:kv_cache_usage_perc", b""), (b"vllm:gpu_cache_usage_perc", b"")),
    ),
    (
        b"sglang:num_queue_reqs",
        ((b"sglang:num_running_reqs", b""),),
        ((b"sglang:token_usage", b""),),
    ),
    (
        _TRITON,
        ((_TRITON, b'request_type="scheduled"'),),
        ((b"nv_trt_llm_kv_cache_block_metrics", b'kv_cache_block_type="fraction"'),),
    ),
    (
        b"trtllm_num_requests_waiting",
        ((b"trtllm_num_requests_running", b""),),
        ((b"trtllm_kv_cache_utilization", b""),),
    ),
    (
        b"llamacpp:requests_deferred",
        ((b"llamacpp:requests_processing", b""),),
        ((b"llamacpp:kv_cache_usage_ratio", b""),),
    ),
)
_LABELS: Final = {_TRITON: b'request_type="waiting"'}
_ADAPTERS: Final = b"vllm:lora_requests_info"
_ADAPTER_LABELS: Final = (b'running_lora_adapters="', b'waiting_lora_adapters="')
_MAX_COUNT = 1_000_000


def read_load(page: bytes) -> ServerLoad | None:
    """Return the load on a page of metrics, or None if it has no known metric."""
    page = b"\n" + page
    for name, running, cache in _FAMILIES:
        waiting = list(_values(page, name, _LABELS.get(name, b"")))
        if not waiting:
            continue
        used = next((found for each in cache if (found := list(_values(page, *each)))), [0.0])
        return ServerLoad(
            _count(waiting),
            _count([value for each in running for value in _values(page, *each)]),
            min(1.0, max(0.0, *used, 0.0)),
            _adapters(page),
        )
    return None


def _count(values: list[float]) -> int:
    return int(min(_MAX_COUNT, max(0.0, sum(values))))


def _values(page: bytes, name: bytes, label: bytes = b"") -> Iterator[float]:
    """Yield the value of each line of a series that has the label."""
    for line in _lines(page, name):
        if label not in line:
            continue
        text = line[line.rfind(b"}") + 1 :].split(None, 1)
        try:
            value = float(text[0])
        except (IndexError, ValueError):
            continue
        if isfinite(value):
            yield value


def _lines(page: bytes, name: bytes) -> Iterator[bytes]:
    """Yield the rest of each line of a metric: labels, value, perhaps a time."""
    start, begin = b"\n" + name, 0
    while (at := page.find(start, begin)) >= 0:
        begin = at + len(start)
        end = page.find(b"\n", begin)
        line = page[begin:] if end < 0 else page[begin:end]
        if line[:1] in (b"{", b" ", b"\t"):  # otherwise a longer name
            yield line


def _adapters(page: bytes) -> frozenset[str] | None:
    """Return the adapters of the newest line: the value of a line is its time."""
    newest, found = float("-inf"), None
    for line in _lines(page, _ADAPTERS):
        for value in _values(b"\n" + _ADAPTERS + line, _ADAPTERS):
            if value >= newest:
                newest, found = value, _named(line)
    return found


def _named(line: bytes) -> frozenset[str]:
    names: set[str] = set()
    for label in _ADAPTER_LABELS:
        _, has_label, rest = line.partition(label)
        if has_label:
            text = rest.partition(b'"')[0].decode("utf-8", "replace")
            names.update(name.strip() for name in text.split(",") if name.strip())
    return frozenset(names)
