"""Meshes before Bedrock's Converse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clouds.bench import Bench, bench
from tests.clouds.converse import SECRET


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Bench]:
    credentials = {"accessKeyId": "AKID", "secretAccessKey": SECRET}
    config = {"region": "eu-west-1", "credentials": credentials, "model": "us.claude-v1:0"}
    with bench({"bedrockConfig": config}) as made:
        yield made
