"""The cache in memory: bounded in bytes, and old entries end."""

from __future__ import annotations

from llm_mesh_middleware._core.caching.entry import Entry, Found, Lookup, Save, pack, unpack
from llm_mesh_middleware._core.caching.key import key_of
from llm_mesh_middleware._engine.ports.memory_cache import MemoryCache
from tests.rows import rows


def test_an_entry_ends_with_its_time() -> None:
    now = [100.0]
    cache = MemoryCache(clock=lambda: now[0])
    cache.ask(Save("k", b"data", 60.0), None)
    now[0] += 59.0
    assert cache.ask(Lookup("k"), None) == Found(b"data", 59.0)
    now[0] += 1.0
    assert cache.ask(Lookup("k"), None) is None
    assert (len(cache), cache.size) == (0, 0)


def test_the_least_used_entries_make_room() -> None:
    cache = MemoryCache(max_bytes=10_000)
    for number in range(100):
        cache.ask(Save(str(number), b"x" * 600, 60.0), None)
        cache.ask(Lookup("0"), None)
        assert cache.size <= 10_000
    assert cache.ask(Lookup("0"), None) is not None
    assert cache.ask(Lookup("1"), None) is None
    cache.ask(Save("large", b"x" * 20_000, 60.0), None)
    assert cache.ask(Lookup("large"), None) is None


@rows("size", [0, 10, 5000])
def test_an_entry_is_unpacked_as_it_was_packed(size: int) -> None:
    entry = Entry(b"ab" * size, is_stream=True)
    assert unpack(pack(entry)) == entry


@rows("data", [b"", b"\x01", b"\x02abc", b"\x07abc", b"\x01\xff\xff"])
def test_what_is_no_entry_is_none(data: bytes) -> None:
    assert unpack(data) is None


def test_no_parts_of_a_key_can_pass_for_others() -> None:
    parts = [("a", "b"), ("ab", ""), ("", "ab"), ("a", None, "b"), ("1:a", "b"), ("a1:b",), (None,)]
    assert len({key_of(each) for each in parts}) == len(parts)
