"""Pages of metrics: what is read of each server's, and of pages that say nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable

from llm_mesh_middleware._core.provider.servers.metrics_page import ServerLoad, read_load
from tests.rows import rows

VLLM = b"""\
# HELP vllm:num_requests_waiting Number of requests waiting.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="qwen"} 3.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 99.0
vllm:num_requests_running{engine="0",model_name="qwen"} 12.0
vllm:kv_cache_usage_perc{engine="0",model_name="qwen"} 0.875
"""
PAGES = {
    "vllm": (VLLM, ServerLoad(3, 12, 0.875)),
    "vllm, older": (
        b"vllm:num_requests_waiting 1\nvllm:gpu_cache_usage_perc 0.5\n",
        ServerLoad(1, 0, 0.5),
    ),
    "vllm, data parallel": (
        VLLM
        + b'vllm:num_requests_waiting{engine="1",model_name="qwen"} 4.0\n'
        + b'vllm:num_requests_running{engine="1",model_name="qwen"} 1.0\n'
        + b'vllm:kv_cache_usage_perc{engine="1",model_name="qwen"} 0.25\n',
        ServerLoad(7, 13, 0.875),
    ),
    "vllm, adapters": (
        VLLM
        + b'vllm:lora_requests_info{max_lora="4",running_lora_adapters="a",'
        + b'waiting_lora_adapters=""} 1.7e+09\n'
        + b'vllm:lora_requests_info{max_lora="4",running_lora_adapters="b,c",'
        + b'waiting_lora_adapters="d"} 1.8e+09\n',
        ServerLoad(3, 12, 0.875, frozenset("bcd")),
    ),
    "sglang": (
        b'sglang:num_queue_reqs{model_name="q"} 2.0\nsglang:num_running_reqs{model_name="q"} 5\n'
        b'sglang:token_usage{model_name="q"} 0.25\n',
        ServerLoad(2, 5, 0.25),
    ),
    "triton": (
        b'nv_trt_llm_request_metrics{model="m",request_type="waiting",version="1"} 6\n'
        b'nv_trt_llm_request_metrics{model="m",request_type="scheduled",version="1"} 2\n'
        b'nv_trt_llm_request_metrics{model="m",request_type="max",version="1"} 512\n'
        b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="fraction",model="m"} 0.5\n'
        b'nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type="max",model="m"} 4096\n',
        ServerLoad(6, 2, 0.5),
    ),
    "trtllm-serve": (
        b"trtllm_num_requests_waiting 1\ntrtllm_num_requests_running 2\n"
        b"trtllm_kv_cache_utilization 0.125\n",
        ServerLoad(1, 2, 0.125),
    ),
    "llama.cpp": (
        b"llamacpp:requests_deferred 1\nllamacpp:requests_processing 4\n"
        b"llamacpp:kv_cache_usage_ratio 0.75\n",
        ServerLoad(1, 4, 0.75),
    ),
    "a time after the value": (b"vllm:num_requests_waiting 5 1700000000\n", ServerLoad(5)),
    "a brace in a label": (b'vllm:num_requests_waiting{m="}{ 7"} 5\n', ServerLoad(5)),
    "no end of the last line": (b"vllm:num_requests_waiting 5", ServerLoad(5)),
    "numbers out of range": (
        b"vllm:num_requests_waiting -3\nvllm:kv_cache_usage_perc 75\n",
        ServerLoad(0, 0, 1.0),
    ),
    "one line that is not a number": (
        b"vllm:num_requests_waiting x\nvllm:num_requests_waiting NaN\n"
        b"vllm:num_requests_waiting 2\n",
        ServerLoad(2),
    ),
}


@rows(("page", "load"), PAGES.values(), ids=PAGES)
def test_the_load_is_read(page: bytes, load: ServerLoad) -> None:
    assert read_load(page) == load
    noise = b"".join(b'some:other_metric_%d{a="b"} 1\n' % n for n in range(500))
    assert read_load(noise + page) == load


@rows(
    "page",
    [
        b"",
        b"<html>not found</html>",
        b"\x00\xff" * 100,
        b"go_goroutines 7\n",
        b"vllm:num_requests_waiting\n",
        b"vllm:num_requests_waiting NaN\n",
        b"vllm:num_requests_waiting inf\n",
        b"x_vllm:num_requests_waiting 3\n",
    ],
)
def test_a_page_that_says_nothing_has_no_load(page: bytes) -> None:
    assert read_load(page) is None


def _lines_run(work: Callable[[], object]) -> int:
    """The lines of Python that `work` runs: the same number on every machine."""
    count = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        work()
    finally:
        sys.settrace(None)
    return count


@rows(
    "hostile",
    [
        b"vllm:num_requests_waiting_x 1\n",
        b"vllm:num_requests_waiting{\n",
        b'vllm:lora_requests_info{running_lora_adapters="a"} 1\n',
    ],
)
def test_a_page_twice_as_long_is_twice_the_work(hostile: bytes) -> None:
    few, many = (_lines_run(lambda n=n: read_load(hostile * n)) for n in (200, 400))
    assert many <= 2 * few
