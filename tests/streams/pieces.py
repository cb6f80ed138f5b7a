"""One input in many pieces: whole, byte by byte, and cut wherever hypothesis likes."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st


def whole_and_bytes(data: bytes) -> Iterator[list[bytes]]:
    """The two extremes, and every way to cut once."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` cut at these places, taken modulo its length; equal places make empty pieces."""
    bounds = sorted(place % (len(data) + 1) for place in places)
    return [data[a:b] for a, b in zip([0, *bounds], [*bounds, len(data)], strict=True)]


PLACES = st.lists(st.integers(0, 1 << 16), max_size=12)
"""For `cut`."""
