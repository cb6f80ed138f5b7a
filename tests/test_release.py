"""The release script, tried on a copy of the files that it reads and writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FILES = (
    ".ci/release.py",
    "CHANGELOG.md",
    "deploy/helm/llm-mesh/Chart.yaml",
    "deploy/kustomize/deployment.yaml",
    "llm_mesh_middleware/__init__.py",
)
WHO = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (("NAME", "release"), ("EMAIL", "release@project.example"))
}
pytestmark = [
    pytest.mark.skipif(shutil.which("git") is None, reason="there is no git"),
    pytest.mark.skipif(not (ROOT / ".ci").is_dir(), reason="the sdist has no .ci"),
]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changelog = tmp_path / "CHANGELOG.md"
    head = changelog.read_text().partition("\n## ")[0]
    changelog.write_text(f"{head}\n## 7.8.9 - unreleased\n\n### Added\n\n- A thing.\n")
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    environ = {**os.environ, **WHO, "GIT_CONFIG_GLOBAL": os.devnull}
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a change")


def release(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / ".ci" / "release.py"), *options],
        env={**os.environ, **WHO, "GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
    )


def test_the_version_is_written_wherever_it_is_stated(copy: Path) -> None:
    done = release(copy)

    assert (done.returncode, done.stderr) == (0, "")
    assert '__version__ = "7.8.9"\n' in (copy / "llm_mesh_middleware/__init__.py").read_text()
    chart = yaml.safe_load((copy / "deploy/helm/llm-mesh/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == ("7.8.9", "7.8.9")
    pod = yaml.safe_load((copy / "deploy/kustomize/deployment.yaml").read_text())
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "llm-mesh:7.8.9"


def test_the_changelog_is_dated_and_is_the_message_of_the_tag(copy: Path) -> None:
    release(copy)

    heading = (copy / "CHANGELOG.md").read_text().split("\n## ")[1].splitlines()[0]
    assert heading == f"7.8.9 - {git(copy, 'log', '-1', '--format=%cd', '--date=format:%Y-%m-%d')}"
    told = git(copy, "tag", "--list", "--format=%(contents)", "v7.8.9")
    assert told == "7.8.9\n\n### Added\n\n- A thing."
    assert git(copy, "log", "-1", "--format=%s") == "Release 7.8.9"
    assert git(copy, "status", "--porcelain") == ""


def test_the_next_version_gets_a_section_of_its_own(copy: Path) -> None:
    release(copy)
    done = release(copy, "--next", "7.9.0")

    assert done.returncode == 0
    headings = [
        line for line in (copy / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert headings[0] == "## 7.9.0 - unreleased"
    commit(copy)
    assert release(copy).stderr == "no release: the unreleased section is empty\n"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: f"{text}\n", "the tree has changes"),
        (lambda text: text.replace("- A thing.", ""), "the unreleased section is empty"),
        (lambda text: text.replace("unreleased", "2026-01-01"), "has 0 unreleased sections"),
        (lambda text: text + "\n## 1.0.0 - unreleased\n", "has 2 unreleased sections"),
    ],
)
def test_what_is_in_the_way_is_said(copy: Path, change: object, reason: str) -> None:
    changelog = copy / "CHANGELOG.md"
    changelog.write_text(change(changelog.read_text()))  # type: ignore[operator]
    if "tree" not in reason:
        commit(copy)
    before = git(copy, "rev-parse", "HEAD")

    done = release(copy)

    assert done.returncode == 1
    assert reason in done.stderr
    assert (git(copy, "rev-parse", "HEAD"), git(copy, "tag")) == (before, "")


def test_a_tag_is_never_made_twice(copy: Path) -> None:
    git(copy, "tag", "v7.8.9")

    assert "v7.8.9 exists already" in release(copy).stderr


def test_the_changelog_of_the_project_has_a_version_that_can_be_released() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines()
    first = next(line for line in lines if line.startswith("## "))

    assert first.count(" - ") == 1
