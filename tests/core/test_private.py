"""Values that hide some of their fields, and what they remember."""

from __future__ import annotations

import copy

import msgspec
from rich.pretty import pretty_repr

from llm_mesh_middleware._auth.static_key import StaticHeader
from llm_mesh_middleware._core.limiting.bucket import Rate
from llm_mesh_middleware._core.limiting.limit import Limit
from llm_mesh_middleware._core.private import Memory
from llm_mesh_middleware._core.provider.identity import ProviderIdentity
from llm_mesh_middleware._manifest.nodes import Scalar

PRIVATE = "0123456789-private"
HOLDERS = (
    StaticHeader(b"x-api-key", PRIVATE.encode()),
    ProviderIdentity("default", "acme", "acme.example", PRIVATE),
    Scalar(1, 1, PRIVATE, PRIVATE),
)


def test_a_secret_is_in_no_representation() -> None:
    for holder in HOLDERS:
        assert PRIVATE not in repr(holder)
        assert PRIVATE not in repr([holder])
        assert PRIVATE not in pretty_repr(holder)


def test_a_representation_has_what_its_class_names() -> None:
    assert repr(HOLDERS[0]) == "StaticHeader(name=b'x-api-key')"
    assert repr(HOLDERS[2]) == "Scalar()"


def test_what_a_value_remembers_is_no_part_of_it() -> None:
    used, fresh = (
        Limit(policy="default/team", name="one", kind="tokens", rate=Rate(1, 1, 1))
        for _ in range(2)
    )
    key = used.key(())
    assert used == fresh
    assert hash(used) == hash(fresh)
    assert copy.deepcopy(used) == fresh
    assert used != msgspec.structs.replace(fresh, name="other")
    assert msgspec.structs.replace(used, name="other").key(()) != key
    assert Memory(a=1) != {"a": 1}
