"""What counts as a change: of manifests, however they are written, and of the files they name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_mesh_middleware import LLMProvider
from llm_mesh_middleware.sources import FileSource, ModelSource
from tests.reload.conftest import MakeMesh
from tests.reload.versions import HOST, key_in_use, manifest, model_in_use, project, save


def test_a_file_that_is_written_over_is_noticed(make_mesh: MakeMesh, file: Path) -> None:
    mesh = make_mesh()
    file.write_text(manifest(2))
    assert model_in_use(mesh) == "m-000002"


def test_a_file_that_an_editor_replaces_is_noticed(make_mesh: MakeMesh, file: Path) -> None:
    mesh = make_mesh()
    save(file, manifest(2))
    assert model_in_use(mesh) == "m-000002"


def test_a_file_of_the_same_size_and_date_is_noticed(make_mesh: MakeMesh, file: Path) -> None:
    mesh = make_mesh()
    before = file.stat()
    file.write_text(manifest(2))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert model_in_use(mesh) == "m-000002"


def test_an_old_file_is_noticed_when_it_changes(make_mesh: MakeMesh, file: Path) -> None:
    os.utime(file, (1, 1))
    mesh = make_mesh()
    assert model_in_use(mesh) == "m-000001"
    save(file, manifest(2))
    os.utime(file, (1, 1))
    assert model_in_use(mesh) == "m-000002"


def test_every_one_of_many_quick_changes_is_noticed(make_mesh: MakeMesh, file: Path) -> None:
    mesh = make_mesh()
    for number in range(2, 60):
        file.write_text(manifest(number))
        assert model_in_use(mesh) == f"m-{number:06d}"


def test_a_file_that_is_only_touched_is_not_read_again(make_mesh: MakeMesh, file: Path) -> None:
    mesh = make_mesh()
    os.utime(file, (1, 1))
    assert mesh.status().generation == 1


def test_a_swap_of_kubernetes_links_is_noticed(make_mesh: MakeMesh, tmp_path: Path) -> None:
    directory = tmp_path / "mounted"
    directory.mkdir()
    project(directory, "..2026_01", manifest(1))
    meshes = [make_mesh(directory), make_mesh(directory / "mesh.yaml")]
    project(directory, "..2026_02", manifest(2))
    assert [model_in_use(mesh) for mesh in meshes] == ["m-000002", "m-000002"]
    assert [mesh.status().problems for mesh in meshes] == [(), ()]


def test_a_file_that_is_added_to_a_directory_is_noticed(
    make_mesh: MakeMesh, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("none of ours")
    mesh = make_mesh(tmp_path)
    assert mesh.find(b"other.example") is None
    (tmp_path / "other.yaml").write_text(manifest(1, host="other.example"))
    assert mesh.find(b"other.example") is not None
    assert mesh.find(HOST.encode()) is not None


def test_a_file_that_is_removed_from_a_directory_is_noticed(
    make_mesh: MakeMesh, tmp_path: Path
) -> None:
    (tmp_path / "other.yaml").write_text(manifest(1, host="other.example"))
    mesh = make_mesh(tmp_path)
    (tmp_path / "other.yaml").unlink()
    assert mesh.find(b"other.example") is None
    assert mesh.status().generation == 2


def by_file(path: Path) -> str:
    return f"        apiKeyFrom:\n          file: {path}"


def test_a_rotated_key_file_is_noticed(make_mesh: MakeMesh, file: Path, tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("sk-canary-first\n")
    file.write_text(manifest(1, key=by_file(key_file)))
    mesh = make_mesh()
    assert key_in_use(mesh) == "sk-canary-first"
    save(key_file, "sk-canary-other\n")
    assert key_in_use(mesh) == "sk-canary-other"


def test_a_rotated_key_file_of_a_model_made_in_python_is_noticed(
    make_mesh: MakeMesh, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("sk-canary-first")
    config = {"openAIConfig": {"apiKeyFrom": {"file": str(key_file)}}}
    spec = {"host": HOST, "path": "/", "configs": {"defaultConfig": config}}
    mesh = make_mesh([LLMProvider.model_validate({"metadata": {"name": "a"}, "spec": spec})])
    key_file.write_text("sk-canary-other")
    assert key_in_use(mesh) == "sk-canary-other"


def test_a_key_file_that_goes_leaves_the_last_key_and_is_used_when_it_is_back(
    make_mesh: MakeMesh, file: Path, tmp_path: Path
) -> None:
    key_file = tmp_path / "key"
    key_file.write_text("sk-canary-first")
    file.write_text(manifest(1, key=by_file(key_file)))
    mesh = make_mesh()
    key_file.unlink()
    assert key_in_use(mesh) == "sk-canary-first"
    (problem,) = mesh.status().problems
    assert (problem.place, problem.message) == (
        f"{file}:13:17",
        f"cannot read {key_file}: No such file or directory",
    )
    key_file.write_text("sk-canary-third")
    assert key_in_use(mesh) == "sk-canary-third"
    assert mesh.status().problems == ()


@pytest.mark.parametrize("interval_s", [0, 3600])
def test_between_two_looks_nothing_is_read(
    make_mesh: MakeMesh, file: Path, interval_s: float
) -> None:
    mesh = make_mesh(reload_interval=interval_s)
    save(file, manifest(2))
    assert model_in_use(mesh) == "m-000001"
    assert mesh.reload().generation == 2
    assert model_in_use(mesh) == "m-000002"


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: (directory / "mesh.yaml").unlink(),
        lambda directory: directory.chmod(0),
        lambda directory: os.replace(directory, directory.with_name("elsewhere")),
    ],
    ids=["no file left", "not to be listed", "gone"],
)
def test_a_fingerprint_differs_and_is_not_raised_for_what_cannot_be_read(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "mesh.yaml").write_text(manifest(1))
    source = FileSource([directory, "nul\0byte"], environ={})
    before = source.fingerprint()
    assert source.fingerprint() == before
    try:
        damage(directory)
        assert source.fingerprint() != before or os.geteuid() == 0
    finally:
        for path in (directory, directory.with_name("elsewhere")):
            if path.exists():
                path.chmod(0o700)


def test_a_pipe_is_not_emptied_by_a_look(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    source = FileSource([tmp_path / "pipe.yaml"], environ={})
    assert source.fingerprint() == source.fingerprint()


def test_models_made_in_python_never_change() -> None:
    assert ModelSource([]).fingerprint() == ModelSource([]).fingerprint()
