"""However a tool writes a manifest, no request is lost while it does."""

from __future__ import annotations

import http.client
import json
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware.testing import Answer, FakeUpstream, RecordedRequest
from tests.conftest import running
from tests.reload.versions import HOST, key_of, manifest, model_in_use, model_of, save

INTERVAL_S = 0.06
STALL_S = 0.04
CALLERS = 3
OTHER = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
data: {a: b}
---
"""

Way = Callable[[Path, str], None]
WAYS: dict[str, Way] = {}


def way(write: Way) -> Way:
    WAYS[write.__name__.replace("_", " ")] = write
    return write


def stall() -> None:
    time.sleep(STALL_S)


def fill(path: Path, *pieces: str | bytes) -> None:
    """Empty the file, then write the pieces with a pause before each."""
    with path.open("wb", buffering=0) as file:
        for piece in pieces:
            stall()
            file.write(piece.encode() if isinstance(piece, str) else piece)


def cut(text: str, before: str) -> tuple[str, str]:
    place = text.index(before)
    return text[:place], text[place:]


def backdate(path: Path) -> None:
    os.utime(path, (1, 1))


@way
def written_at_once(path: Path, text: str) -> None:
    path.write_text(text)


@way
def emptied_and_filled_later(path: Path, text: str) -> None:
    fill(path, text)


@way
def filled_in_two_pieces_cut_at_a_line(path: Path, text: str) -> None:
    fill(path, *cut(text, "        apiKey"))


@way
def filled_in_two_pieces_cut_in_a_model(path: Path, text: str) -> None:
    fill(path, *cut(text, "0002"))


@way
def filled_in_two_pieces_cut_in_a_key(path: Path, text: str) -> None:
    fill(path, text[:-9], text[-9:])


@way
def filled_in_many_pieces(path: Path, text: str) -> None:
    with path.open("wb", buffering=0) as file:
        for start in range(0, len(text), 7):
            file.write(text[start : start + 7].encode())
            time.sleep(0.002)


@way
def filled_after_a_comment(path: Path, text: str) -> None:
    fill(path, "# generated, do not edit\n", text)


@way
def filled_after_another_document(path: Path, text: str) -> None:
    fill(path, OTHER, text)


@way
def filled_after_a_byte_order_mark(path: Path, text: str) -> None:
    fill(path, b"\xef\xbb\xbf", text)


@way
def filled_with_an_error_message_first(path: Path, text: str) -> None:
    path.write_text("Error: values don't meet the schema\n")
    stall()
    path.write_text(text)


@way
def allocated_before_it_is_filled(path: Path, text: str) -> None:
    with path.open("wb", buffering=0) as file:
        file.truncate(len(text))
        stall()
        file.write(text.encode())


@way
def overwritten_in_place(path: Path, text: str) -> None:
    with path.open("r+b", buffering=0) as file:
        file.write(text.encode())
        stall()
        file.truncate()


@way
def overwritten_through_a_memory_map(path: Path, text: str) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[:] = text.encode()


@way
def overwritten_and_backdated(path: Path, text: str) -> None:
    path.write_text(text)
    backdate(path)


@way
def renamed_over(path: Path, text: str) -> None:
    save(path, text)


@way
def renamed_over_and_backdated(path: Path, text: str) -> None:
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    backdate(fresh)
    fresh.replace(path)


@way
def deleted_and_written_later(path: Path, text: str) -> None:
    path.unlink()
    stall()
    path.write_text(text)


@way
def moved_away_before_the_new_one_comes(path: Path, text: str) -> None:
    path.replace(path.with_name("mesh.yaml~"))
    stall()
    save(path, text)


@way
def replaced_by_a_hard_link(path: Path, text: str) -> None:
    fresh = path.with_name("fresh")
    fresh.write_text(text)
    path.unlink()
    os.link(fresh, path)


@way
def replaced_by_a_link(path: Path, text: str) -> None:
    (path.parent / "v2").mkdir()
    (path.parent / "v2" / "real").write_text(text)
    (path.parent / "link").symlink_to("v2/real")
    (path.parent / "link").replace(path)


@way
def a_link_to_nothing_for_a_while(path: Path, text: str) -> None:
    path.unlink()
    path.symlink_to("later")
    stall()
    (path.parent / "later").write_text(text)


@way
def a_directory_for_a_while(path: Path, text: str) -> None:
    path.unlink()
    path.mkdir()
    stall()
    path.rmdir()
    path.write_text(text)


@way
def appended_before_the_old_part_is_cut_off(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write("---\n" + text)
    stall()
    path.write_text(text)


@dataclass
class Seen:
    """What callers and the application got."""

    lost: list[str] = field(default_factory=list)
    requests: int = 0
    reached_the_app: int = 0


@contextmanager
def under_load(mesh: Mesh) -> Iterator[Seen]:
    """Call the mesh from several threads until the block ends."""
    seen, is_over = Seen(), threading.Event()

    async def app(scope: dict[str, object], receive: object, send: Callable[..., object]) -> None:
        if scope["type"] == "lifespan":
            raise NotImplementedError
        seen.reached_the_app += 1

    def call(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        body = json.dumps({"messages": [{"role": "user", "content": "Good morning"}]})
        while not is_over.is_set():
            connection.request("POST", "/", body, {"host": HOST})
            answer = connection.getresponse()
            text = answer.read()
            seen.requests += 1
            if answer.status != 200:
                seen.lost.append(f"{answer.status} {text[:200]!r}")
        connection.close()

    with running(LLMMeshMiddleware(app, mesh=mesh), "uvicorn-httptools") as port:
        callers = [threading.Thread(target=call, args=(port,)) for _ in range(CALLERS)]
        for caller in callers:
            caller.start()
        try:
            yield seen
        finally:
            is_over.set()
            for caller in callers:
                caller.join()


def check_key(request: RecordedRequest) -> Answer | None:
    """Refuse a model that comes with another version's key, or with none."""
    number = int(request.json()["model"].removeprefix("m-"))
    is_right = request.header("authorization") == f"Bearer {key_of(number)}"
    return None if is_right else Answer(401, [], {"error": {"message": "a mixture"}})


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream(host_names=HOST, tls=False) as upstream:
        upstream.always(check_key)
        yield upstream


def until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["file", "folder"])
@pytest.mark.parametrize("name", WAYS)
def test_no_request_is_lost_while_a_manifest_is_written(
    tmp_path: Path, upstream: FakeUpstream, name: str, layout: str
) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(manifest(1))
    (tmp_path / "more.yaml").write_text(manifest(1, host="other.example"))
    settings = MeshSettings(reload_interval=INTERVAL_S, endpoints=upstream.endpoints)
    mesh = Mesh(file if layout == "file" else tmp_path, settings=settings)
    with under_load(mesh) as seen:
        until(lambda: seen.requests > CALLERS)
        WAYS[name](file, manifest(2))
        until(lambda: model_in_use(mesh) == model_of(2))
    assert (seen.lost, seen.reached_the_app) == ([], 0)
    assert mesh.status().state == "ok"


LEFTOVERS = {
    "nothing": "",
    "blank lines": "\n \n",
    "a comment": "# nothing yet\n",
    "separators": "---\n---\n",
    "another document": OTHER,
    "a list of nothing": "apiVersion: v1\nkind: List\nitems: []\n",
    "an error message": "Error: no such chart\n",
}


@pytest.mark.parametrize("name", LEFTOVERS)
def test_what_a_failed_tool_leaves_behind_is_never_put_in_use(
    tmp_path: Path, upstream: FakeUpstream, name: str
) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(manifest(1))
    settings = MeshSettings(reload_interval=INTERVAL_S, endpoints=upstream.endpoints)
    mesh = Mesh(file, settings=settings)
    with under_load(mesh) as seen:
        file.write_text(LEFTOVERS[name])
        until(lambda: mesh.status().state == "stale")
        until(lambda: mesh.reload().generation == 1)  # not even when asked for
    assert (seen.lost, seen.reached_the_app) == ([], 0)
    assert mesh.status().problems[0].source == str(file)


@pytest.mark.parametrize("interval_s", [0.01, 3600])
def test_a_host_that_is_taken_away_is_gone_soon(tmp_path: Path, interval_s: float) -> None:
    (tmp_path / "mesh.yaml").write_text(manifest(1))
    (tmp_path / "more.yaml").write_text(manifest(1, host="other.example"))
    mesh = Mesh(tmp_path, settings=MeshSettings(reload_interval=interval_s))
    (tmp_path / "more.yaml").unlink()
    if interval_s > 1:
        mesh.reload()
    until(lambda: mesh.find(b"other.example") is None)
    assert mesh.find(HOST.encode()) is not None


def test_a_version_that_waits_is_dropped_when_a_newer_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(manifest(1))
    mesh = Mesh(file, settings=MeshSettings(reload_interval=0.05))
    start, rest = cut(manifest(2), "        apiKey")
    file.write_text(start)
    mesh._live.due_at = 0.0
    assert model_in_use(mesh) == model_of(1)
    file.write_text(start + rest)
    until(lambda: model_in_use(mesh) == model_of(2))
    assert mesh.status().generation == 2
