"""Reloads among threads, in signal handlers and after forks, and what outlives them."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Hashable, Iterator
from pathlib import Path

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware._manifest import Manifest, parse_manifest
from llm_mesh_middleware.testing import FakeUpstream
from tests.engine.meshes import chat, open_chat
from tests.reload.conftest import ALWAYS_S, MakeMesh
from tests.reload.versions import HOST, key_in_use, key_of, manifest, model_in_use, save
from tests.waiting import until


class Slow:
    """A source whose second load takes until it is let go."""

    def __init__(self) -> None:
        self.version = 1
        self.is_loading = threading.Event()
        self.may_end = threading.Event()

    def load(self) -> Manifest:
        text = manifest(self.version)
        if self.version == 2:
            self.is_loading.set()
            assert self.may_end.wait(5)
        return parse_manifest(text, source="slow", environ={})

    def fingerprint(self) -> Hashable:
        return self.version


def test_other_threads_go_on_with_the_old_table_while_one_loads(make_mesh: MakeMesh) -> None:
    source = Slow()
    mesh = make_mesh(source)
    source.version = 2
    loader = threading.Thread(target=mesh.find, args=(HOST.encode(),))
    loader.start()
    assert source.is_loading.wait(5)
    assert [model_in_use(mesh) for _ in range(3)] == ["m-000001"] * 3
    source.may_end.set()
    loader.join(5)
    assert model_in_use(mesh) == "m-000002"
    assert mesh.status().generation == 2


class Recorded:
    """A source that records which threads load it."""

    def __init__(self) -> None:
        self.version = 1
        self.loaders: list[str] = []

    def load(self) -> Manifest:
        self.loaders.append(threading.current_thread().name)
        return parse_manifest(manifest(self.version), source="recorded", environ={})

    def fingerprint(self) -> Hashable:
        return self.version


def test_only_the_thread_that_follows_loads(make_mesh: MakeMesh) -> None:
    source, is_over = Recorded(), threading.Event()
    mesh = make_mesh(source)
    source.loaders.clear()
    follower = threading.Thread(target=mesh._follow, args=(is_over,), name="follower")
    follower.start()
    until(lambda: mesh._live.due_at == math.inf)
    source.version = 2
    until(lambda: model_in_use(mesh) == "m-000002")
    is_over.set()
    follower.join(5)
    assert set(source.loaders) == {"follower"}
    source.version = 3
    assert model_in_use(mesh) == "m-000003"  # accesses look again
    assert source.loaders[-1] == threading.current_thread().name


def test_a_reload_that_is_asked_for_waits_for_one_under_way_and_reads_again(
    make_mesh: MakeMesh,
) -> None:
    source = Slow()
    mesh = make_mesh(source, reload_interval=0)
    source.version = 2
    threads = [threading.Thread(target=mesh.reload) for _ in range(2)]
    threads[0].start()
    assert source.is_loading.wait(5)
    source.version = 3
    threads[1].start()
    source.may_end.set()
    for thread in threads:
        thread.join(5)
    assert model_in_use(mesh) == "m-000003"


class Interrupted:
    """A source that is broken into by a signal while it loads its second version."""

    def __init__(self) -> None:
        self.version = 1

    def load(self) -> Manifest:
        text = manifest(self.version)
        if self.version == 2:
            self.version = 3
            signal.raise_signal(signal.SIGUSR1)
        return parse_manifest(text, source="interrupted", environ={})

    def fingerprint(self) -> Hashable:
        return self.version


@pytest.fixture
def on_usr1() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.usefixtures("on_usr1")
def test_a_signal_handler_may_reload_in_the_midst_of_a_load(make_mesh: MakeMesh) -> None:
    source = Interrupted()
    mesh = make_mesh(source, reload_interval=0)
    signal.signal(signal.SIGUSR1, lambda *_: mesh.reload())
    source.version = 2
    mesh.reload()
    assert model_in_use(mesh) == "m-000003"


FORKING = """
import os, sys, threading
from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.sources import FileSource

class Slow(FileSource):
    is_held = False
    def load(self):
        if self.is_held and threading.current_thread() is not threading.main_thread():
            loading.set()
            threading.Event().wait()
        return super().load()

loading, path = threading.Event(), sys.argv[1]
source = Slow([path], environ=os.environ)
mesh = Mesh(source, settings=MeshSettings(reload_interval=1e-9))
source.is_held = True
with open(path) as file:
    text = file.read()
with open(path, "w") as file:
    file.write(text.replace("m-000001", "m-000002"))
threading.Thread(target=mesh.reload, daemon=True).start()
loading.wait()
child = os.fork()
if child == 0:
    def model():
        (backend,) = mesh.find(b"llm.example").rules[0].backends
        return backend.upstream.model
    by_itself = model()
    os._exit(0 if by_itself == "m-000002" and mesh.reload().generation == 3 else 1)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_in_the_midst_of_a_reload_can_reload(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKING, str(file)], timeout=20, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        yield upstream


async def test_a_host_that_was_found_before_a_reload_serves_as_it_was(
    file: Path, upstream: FakeUpstream
) -> None:
    settings = MeshSettings(reload_interval=0, endpoints=upstream.endpoints)
    mesh = Mesh(file, settings=settings)
    delivery = await open_chat(mesh, stream=True)
    save(file, manifest(2))
    assert mesh.reload().generation == 2
    body = b"".join([data async for data in delivery])
    await delivery.aclose()
    assert body.endswith(b"data: [DONE]\n\n")
    assert (await chat(mesh))[0] == 200
    seen = [(each.json()["model"], each.header("authorization")) for each in upstream.requests]
    assert seen == [(f"m-{n:06d}", f"Bearer {key_of(n)}") for n in (1, 2)]
    await mesh.aclose()


async def test_what_the_configuration_has_no_more_is_forgotten(
    tmp_path: Path, upstream: FakeUpstream
) -> None:
    (tmp_path / "a.yaml").write_text(manifest(1))
    (tmp_path / "b.yaml").write_text(manifest(1, host="other.example"))
    to = dict.fromkeys((HOST, "other.example"), upstream.url)
    settings = MeshSettings(reload_interval=ALWAYS_S, endpoints=to)
    mesh = Mesh(tmp_path, settings=settings)
    for host in to:
        assert (await chat(mesh, host))[0] == 200
    assert mesh.status().providers.keys() == to.keys()
    open_one = await open_chat(mesh, "other.example", stream=True)
    (tmp_path / "b.yaml").unlink()
    assert mesh.status().providers.keys() == {HOST}
    assert [data async for data in open_one][-1].endswith(b"data: [DONE]\n\n")
    await open_one.aclose()
    assert mesh.health()[HOST].in_flight == 0
    assert mesh.health().keys() == {HOST}
    await mesh.aclose()


async def test_the_health_of_a_provider_outlives_a_new_key(
    file: Path, upstream: FakeUpstream
) -> None:
    settings = MeshSettings(reload_interval=ALWAYS_S, endpoints=upstream.endpoints)
    mesh = Mesh(file, settings=settings)
    open_one = await open_chat(mesh, stream=True)
    save(file, manifest(1).replace(key_of(1), key_of(2)))
    assert key_in_use(mesh) == key_of(2)
    assert mesh.status().generation == 2
    assert mesh.health()[HOST].in_flight == 1
    await open_one.aclose()
    await mesh.aclose()
