"""`LLM_MESH_LABELS` from a downward API file."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm_mesh_middleware import ConfigError
from llm_mesh_middleware.settings import load_settings


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", {}),
        ('app="web"\nversion="v1"', {"app": "web", "version": "v1"}),
        ('app="web"\r\n\n', {"app": "web"}),
        ('app.kubernetes.io/name="web"\n', {"app.kubernetes.io/name": "web"}),
        ('empty=""\n', {"empty": ""}),
        (r'a="say \"a=b\", \\n"', {"a": r'say "a=b", \n'}),
        (r'a="\t\n\x7f\u00fc\U0001f642通"', {"a": "\t\n\x7f\u00fc\U0001f642通"}),
    ],
)
def test_labels_are_read_from_the_file(text: str, labels: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text(text, "utf-8")

    assert load_settings(labels=f"@{file}").labels == labels


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'app="web"\napp=web\n', 'lines such as app="web"; line 2 is different'),
        (b'="web"', "line 1 is different"),
        (b'app="web" version="v1"', "line 1 is different"),
        (b'app="a"b"', "line 1 is different"),
        (b'app="a\\"', "line 1 is different"),
        (rb'app="\q"', "an escape in line 1"),
        (rb'app="\x7"', "an escape in line 1"),
        (rb'app="\Uffffffff"', "an escape in line 1"),
        (b'app="a"\napp="b"', "'app' is repeated in line 2"),
        (b"\xff", "it is not UTF-8"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_line(
    data: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "labels"
    file.write_bytes(data)
    monkeypatch.setenv("LLM_MESH_LABELS", f"@{file}")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    (problem,) = caught.value.problems

    assert problem.source == "LLM_MESH_LABELS"
    assert str(file) in problem.message
    assert message in problem.message


@pytest.mark.parametrize(
    ("name", "message"),
    [("none", "cannot read {}/none: No such file"), ("", "cannot read {}/: Is a directory")],
)
def test_a_file_that_cannot_be_read_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(labels=f"@{tmp_path}/{name}")

    assert message.format(tmp_path) in str(caught.value)
