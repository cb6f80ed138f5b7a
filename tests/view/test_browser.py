"""The page in a real browser: every screen, what happens to providers, and what must never be."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from llm_mesh_middleware.cli.serving.background import serving
from llm_mesh_middleware.testing import Answer, error_body
from llm_mesh_middleware.view import MeshView
from tests.conftest import DASHSCOPE, MANIFESTS, Providers
from tests.processes import ROOT
from tests.view.browser import Browser, reason_to_skip, shown
from tests.view.conftest import HOST, SPLIT, VIP, Watched, provider, route
from tests.view.links import link_to

_REASON = reason_to_skip()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_REASON), reason=_REASON)]

EJECTED = ".node.is-provider.is-ejected"
HEALTHY = ".node.is-provider.is-healthy"


@pytest.fixture
def traffic(watched: Watched) -> Iterator[None]:
    """Calls that go on until the test ends."""
    is_over = threading.Event()

    def run() -> None:
        number = 0
        while not is_over.wait(0.02):
            number += 1
            watched.call(
                f"text {number}", headers={"user-type": "vip"} if number % 5 == 0 else None
            )

    thread = threading.Thread(target=run)
    thread.start()
    yield
    is_over.set()
    thread.join(10)


def wait_for_state(watched: Watched, state: str) -> None:
    deadline = time.monotonic() + 20
    while watched.mesh.health()["a.example"].state != state:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.usefixtures("traffic")
def test_a_provider_that_dies_and_comes_back_is_seen_within_two_seconds(
    browser: Browser, watched: Watched, origin: str
) -> None:
    browser.do("open", url=f"{origin}/")
    browser.wait(f"{HEALTHY}", "a.example")
    watched.a.close()
    wait_for_state(watched, "ejected")
    browser.wait(EJECTED, "probe in", within_s=2)
    assert browser.do("count", selector=".wire.is-ejected") > 1
    watched.a.start()
    wait_for_state(watched, "healthy")
    browser.wait(HEALTHY, "a.example", within_s=2)
    browser.assert_well_behaved(origin)


def test_a_call_is_opened_with_its_attempts_and_why_each_was_made(
    browser: Browser, watched: Watched, origin: str
) -> None:
    browser.do("open", url=f"{origin}/#calls")
    browser.wait("#link-text", "live")  # rhythms are kept while somebody looks
    watched.call()
    watched.a.script(Answer(503, body=error_body("down")))
    while len(watched.hub.report().calls[-1].attempts) < 2:
        watched.call(stream=True)
    browser.do("evaluate", code="document.querySelector('#calls-kind').value = 'retried'")
    browser.do("fill", selector="#calls-filter", value="split")
    browser.wait("#call-table tbody tr", "split")
    browser.do("press", key="Tab")
    browser.do("click", selector="#call-table tbody tr")
    browser.wait("#call", "fallback: b.example")
    told = browser.do("text", selector="#call")
    assert "Why: attempt 1 ended with 503." in told
    assert "events in" in told
    assert browser.do("count", selector="#call .track") == 2
    assert browser.do("count", selector="#call .rhythm rect") >= 1
    assert "Rhythm of the stream: at most" in told
    browser.do("click", selector="#call summary")
    browser.wait("#call details table tbody tr", "0 ms – ")
    browser.do("press", key="Escape")
    assert browser.do("count", selector="#call:not([hidden])") == 0
    browser.assert_well_behaved(origin)


def test_policies_and_costs_are_shown_with_their_levels(browser: Browser, limited: Watched) -> None:
    with shown(limited.mesh) as port:
        origin = f"http://127.0.0.1:{port}"
        with limited.mesh.attributes(team="blue"):
            for _ in range(2):
                limited.call("mail ann@example.org")
        browser.do("open", url=f"{origin}/")
        browser.wait("#total-cost", "0.0004 USD")
        browser.do("press", key="4")
        browser.wait("#policies tr", "hit rate 50 %")
        browser.wait("#policies tr", "1,000 per 1 h, for each attribute:team")
        browser.wait("#policies tr:has(.level)", "blue")
        assert browser.do("count", selector="#policies .level .track") >= 2
        browser.do("press", key="2")
        browser.do("click", selector="#call-table tbody tr", nth=1)
        browser.wait("#call", "guard people")
        assert "masked: EMAIL (policy default/team)" in browser.do("text", selector="#call")
        browser.assert_well_behaved(origin)


def test_limits_that_nobody_has_asked_are_shown_untouched(
    browser: Browser, limited: Watched
) -> None:
    with shown(limited.mesh) as port:
        browser.do("open", url=f"http://127.0.0.1:{port}/#config")
        browser.wait("#policies tr", "0 % used: 1,000 of 1,000 tokens left, not asked yet")
        browser.wait("#policies tr", "0 % used: 1 of 1 USD left, not asked yet")
        browser.wait("#policies tr", "cache")


def test_paused_calls_stay_and_go_on_afterwards(
    browser: Browser, watched: Watched, origin: str
) -> None:
    watched.call()
    browser.do("open", url=f"{origin}/#calls")
    browser.wait("#call-table tbody tr")
    browser.do("click", selector="#pause")
    for _ in range(3):
        watched.call()
    browser.wait("#link-text", "live")
    time.sleep(0.05)
    assert browser.do("count", selector="#call-table tbody tr") == 1
    browser.do("click", selector="#pause")
    browser.wait("#call-table tbody tr:nth-child(4)", within_s=3)


def test_the_explain_form_hands_out_a_test_that_passes(
    browser: Browser, providers: Providers, tmp_path: Path
) -> None:
    mesh = Mesh(settings=providers.settings())
    with shown(mesh) as port:
        origin = f"http://127.0.0.1:{port}"
        browser.do("open", url=f"{origin}/#explain")
        browser.do("fill", selector="[name=host]", value=DASHSCOPE)
        browser.do("fill", selector="[name=headers]", value="user-type: subscriber")
        browser.do("fill", selector="[name=body]", value='{"messages": []}')
        browser.do("click", selector="#form [type=submit]")
        browser.wait(".rules li.is-selected", "vip-route")
        browser.do("click", selector="[data-copy=pytest]")
        text = browser.do("text", selector="#copied")
        browser.do("click", selector="#explained > button")
        browser.wait(".node.is-rule.is-lit", "vip-route")
        browser.assert_well_behaved(origin)
    mesh.close()
    (tmp_path / "test_copied.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "."],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT}:{ROOT / 'integrations'}",
            "PYTEST_ADDOPTS": "-p llm_mesh_pytest",
        },
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout


def test_a_form_that_cannot_be_read_says_why(browser: Browser, origin: str) -> None:
    browser.do("open", url=f"{origin}/#explain")
    browser.do("fill", selector="[name=host]", value=HOST)
    browser.do("fill", selector="[name=headers]", value="no colon")
    browser.do("click", selector="#form [type=submit]")
    browser.wait("#form-error", "a header is written name: value")


def test_like_the_last_call_asks_what_the_last_call_asked(
    browser: Browser, watched: Watched, origin: str
) -> None:
    watched.call(headers={"user-type": "vip"})
    browser.do("open", url=f"{origin}/#explain")
    browser.wait("#link-text", "live")
    browser.do("click", selector="#like-last")
    browser.wait(".rules li.is-selected", "vip")


def test_the_configuration_shows_problems_at_their_lines_and_changes(
    browser: Browser, tmp_path: Path
) -> None:
    manifest = tmp_path / "mesh.yaml"
    text = (MANIFESTS / "01-LLMProvider.yaml").read_text()
    manifest.write_text(text)
    mesh = Mesh([manifest], settings=MeshSettings())
    with shown(mesh) as port:
        browser.do("open", url=f"http://127.0.0.1:{port}/#config")
        browser.wait("#config-state", "in use")
        manifest.write_text(text + "---\nkind: LLMRoute\n")
        mesh.reload()
        browser.wait("#config-state", "stale", within_s=2)
        browser.wait("#problems", "mesh.yaml:")
        manifest.write_text(text.replace(DASHSCOPE, "other.example"))
        mesh.reload()
        browser.wait("#changes", "added: other.example", within_s=2)
    mesh.close()


def test_the_page_comes_back_after_a_restart_of_the_server(
    browser: Browser, watched: Watched
) -> None:
    with shown(watched.mesh) as port:
        origin = f"http://127.0.0.1:{port}"
        browser.do("open", url=f"{origin}/")
        browser.wait("#link-text", "live")
    browser.wait("#link-text", "no news since", within_s=10)
    with shown(watched.mesh, port=port):
        browser.wait("#link-text", "live", within_s=10)
        browser.wait(".node.is-host", HOST)


@pytest.mark.parametrize("minutes", [2, 600])
def test_the_page_comes_back_after_its_laptop_has_slept(
    browser: Browser, watched: Watched, minutes: int
) -> None:
    with shown(watched.mesh) as port, link_to(port) as link:
        origin = f"http://127.0.0.1:{link.port}"
        watched.call()
        browser.do("open", url=f"{origin}/#calls", sleeps=True)
        browser.wait("#call-table tbody tr", "split")
        browser.do("sleep")
        link.fall_dead()
        for _ in range(3):
            watched.call(headers={"user-type": "vip"})
        assert browser.do("count", selector="#call-table tbody tr") == 1
        browser.do("wake", ms=minutes * 60_000)
        browser.wait("#call-table tbody tr:nth-child(4)", within_s=15)
        browser.wait("#link-text", "live")
        assert browser.do("count", selector="#call-table tbody tr") == 4
        browser.do("press", key="1")
        browser.do("press", key="t")
        browser.wait("#edges tbody tr", "vip")
        watched.call(headers={"user-type": "vip"})  # and it goes on from there
        browser.do("press", key="2")
        browser.wait("#call-table tbody tr:nth-child(5)")
        browser.assert_well_behaved(origin)


def test_names_are_text_whatever_they_hold(browser: Browser) -> None:
    name = "<img src=x onerror=alert(1)> é"
    rule = {"name": name, "matches": [{"attributes": {"x": {"exact": "</script> 漢字 \u202e"}}}]}
    backends = {"backendRefs": [{"providerHost": "a.example"}]}
    documents = (provider("a", "http://127.0.0.1:9"), route({**rule, **backends}))
    mesh = Mesh(documents, settings=MeshSettings())
    with shown(mesh) as port:
        origin = f"http://127.0.0.1:{port}"
        browser.do("open", url=f"{origin}/")
        browser.wait(".node.is-rule", "<img src=x")
        assert browser.do("text", selector=".node.is-rule b") == name
        browser.wait(".node.is-rule", "</script> 漢字 \\u202e")
        browser.do("press", key="4")
        browser.wait("#routes", "<img src=x")
        browser.assert_well_behaved(origin)
    mesh.close()


def test_a_thousand_hosts_with_five_rules_each_can_be_used(browser: Browser) -> None:
    rules = [{**SPLIT, "name": f"rule-{number}"} for number in range(4)]
    documents = (
        provider("a", "http://127.0.0.1:9"),
        provider("b", "http://127.0.0.1:9"),
        *(route({**VIP}, *rules, host=f"h{number}.example") for number in range(1000)),
    )
    mesh = Mesh(documents, settings=MeshSettings())
    with shown(mesh) as port:
        origin = f"http://127.0.0.1:{port}"
        browser.do("open", url=f"{origin}/")
        browser.wait("#cut", "5,002 rules", within_s=15)
        assert browser.do("count", selector=".node.is-rule") == 40
        browser.do("fill", selector="#mesh-filter", value="h777.")
        browser.wait(".node.is-host", "h777.example", within_s=5)
        assert browser.do("count", selector=".node.is-rule") == 5
        browser.assert_well_behaved(origin)
    mesh.close()


def test_a_script_that_is_not_of_the_view_does_not_run(browser: Browser, origin: str) -> None:
    code = """() => {
        const script = document.createElement("script");
        script.textContent = "window.hasRun = true";
        document.body.append(script);
        return window.hasRun === true;
    }"""
    browser.do("open", url=f"{origin}/")
    assert browser.do("evaluate", code=f"({code})()") is False


def test_whoever_is_not_admitted_sees_a_refusal(browser: Browser, watched: Watched) -> None:
    with serving(MeshView(watched.mesh, authorize=lambda scope: False)) as port:
        assert browser.do("open", url=f"http://127.0.0.1:{port}/") == 403
