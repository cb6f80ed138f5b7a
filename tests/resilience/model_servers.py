"""Doubles of model servers: they chat, and tell of their load as vLLM does."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import urlsplit

from llm_mesh_middleware.testing import (
    Answer,
    FakeUpstream,
    Gate,
    RecordedRequest,
    Stream,
    chat_completion,
)

PAGE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="qwen"}} {running}
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="qwen"}} {waiting}
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{engine="0",model_name="qwen"}} {cache}
# TYPE vllm:lora_requests_info gauge
vllm:lora_requests_info{{max_lora="4",running_lora_adapters="{adapters}",\
waiting_lora_adapters=""}} 1.7e+09
# TYPE vllm:request_success_total counter
vllm:request_success_total{{engine="0",finished_reason="stop",model_name="qwen"}} 12.0
"""


class ModelServer:
    """One server; `page` replaces its page of metrics, `health` the status of its /health.

    `delay` holds up what /health responds.
    """

    def __init__(self) -> None:
        self.upstream = FakeUpstream(tls=False)
        self.load: Mapping[str, object] = {"running": 0, "waiting": 0, "cache": 0, "adapters": ""}
        self.page: Answer | None = None
        self.health = 200
        self.delay: Gate | float = 0.0
        self.chat: Answer | Stream | None = None
        self.calls = 0
        self._pages = self._checks = 0
        self._news = threading.Condition()
        self.upstream.always(self._respond)

    def __enter__(self) -> ModelServer:
        self.upstream.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.upstream.close()

    @property
    def address(self) -> str:
        return urlsplit(self.upstream.url).netloc

    @property
    def pages(self) -> int:
        return self._pages

    @property
    def checks(self) -> int:
        return self._checks

    def says(self, **load: object) -> None:
        """Change what the next page says."""
        self.load = {**self.load, **load}

    def wait_for_pages(self, count: int) -> None:
        """Wait until the page was asked for so many times."""
        with self._news:
            assert self._news.wait_for(lambda: self._pages >= count, 10)

    def wait_for_checks(self, count: int) -> None:
        """Wait until so many more health checks than now have come."""
        with self._news:
            until = self._checks + count
            assert self._news.wait_for(lambda: self._checks >= until, 10)

    def _respond(self, request: RecordedRequest) -> Answer | Stream:
        if request.path == "/metrics":
            with self._news:
                self._pages += 1
                self._news.notify_all()
            return self.page or Answer(body=PAGE.format(**self.load))
        if request.path == "/health":
            with self._news:
                self._checks += 1
                self._news.notify_all()
            return Answer(self.health, delay=self.delay)
        self.calls += 1
        return self.chat or Answer(body=chat_completion("hello"))
