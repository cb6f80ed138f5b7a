"""Threads that meet a dialect for the first time at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import msgspec

from llm_mesh_middleware._dialects.lenient import LenientDecoder

THREADS = 4


def test_threads_may_use_a_new_decoder_at_once() -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(20):
            inner = msgspec.defstruct("Inner", [(f"m{n}", int | None, None) for n in range(40)])
            outer = msgspec.defstruct("Outer", [("a", list[inner] | None, None)])  # type: ignore[valid-type]
            decoder, begin = LenientDecoder(outer), Barrier(THREADS)

            def read(decoder: LenientDecoder[msgspec.Struct], begin: Barrier) -> object:
                begin.wait(10)
                return decoder(b'{"a":[{"m3":3,"m39":39}]}')

            runs = [pool.submit(read, decoder, begin) for _ in range(THREADS)]
            assert [run.result(10) for run in runs] == [outer(a=[inner(m3=3, m39=39)])] * THREADS
