"""The page in a real browser by keyboard, on narrow and wide screens, and without motion."""

from __future__ import annotations

import pytest

from llm_mesh_middleware import Mesh, MeshSettings
from tests.view.browser import Browser, reason_to_skip, shown
from tests.view.conftest import HOST, Watched, provider

_REASON = reason_to_skip()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(_REASON), reason=_REASON)]


def test_screens_are_reached_by_keys(browser: Browser, watched: Watched, origin: str) -> None:
    watched.call()
    browser.do("open", url=f"{origin}/")
    browser.wait(".node.is-host", HOST)
    for key, screen in (("2", "calls"), ("3", "explain"), ("4", "config"), ("1", "mesh")):
        browser.do("press", key=key)
        browser.wait(f"#{screen}:not([hidden])")
    browser.do("press", key="t")
    browser.wait("#edges tbody tr", "split")
    browser.do("press", key="/")
    assert browser.do("evaluate", code="document.activeElement.id") == "mesh-filter"


def test_the_tab_key_stops_once_in_the_calls_and_arrows_move_there(
    browser: Browser, watched: Watched, origin: str
) -> None:
    for _ in range(3):
        watched.call(headers={"user-type": "vip"})
    browser.do("open", url=f"{origin}/#calls")
    browser.wait("#call-table tbody tr:nth-child(3)")
    assert browser.do("count", selector="#call-table tr[tabindex='0']") == 1
    browser.do("evaluate", code="document.querySelector('#pause').focus()")
    browser.do("press", key="Tab")
    for key, row in (("ArrowDown", 2), ("End", 3), ("ArrowUp", 2), ("Home", 1), ("ArrowDown", 2)):
        browser.do("press", key=key)
        browser.wait(f"#call-table tbody tr:nth-child({row}):focus")
    assert browser.do("count", selector="#call-table tr[tabindex='0']") == 1
    browser.do("press", key="Enter")
    browser.wait("#call", "vip")
    browser.wait("#call-table tbody tr:nth-child(2)[aria-selected=true]")


def test_a_node_leads_to_its_calls(browser: Browser, watched: Watched, origin: str) -> None:
    watched.call(headers={"user-type": "vip"})
    watched.call()
    watched.call()
    browser.do("open", url=f"{origin}/")
    browser.wait(".node.is-provider", "b.example")
    browser.do("click", selector=".node.is-provider:has-text('b.example')")
    browser.wait("#calls:not([hidden]) #call-table tbody tr", "split")
    assert browser.do("count", selector="#call-table tbody tr") == 1


def test_a_mesh_without_routes_says_what_is_missing(browser: Browser) -> None:
    documents = (provider("a", "http://127.0.0.1:9"),)
    mesh = Mesh(documents, settings=MeshSettings())
    with shown(mesh) as port:
        browser.do("open", url=f"http://127.0.0.1:{port}/")
        browser.wait(".node.is-rule", "default")  # a provider is a host of its own, too
        browser.do("fill", selector="#mesh-filter", value="nothing like it")
        browser.wait("#mesh-none", "No host, rule or provider matches.")
    mesh.close()


@pytest.mark.parametrize("width", [400, 1280, 3840])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_screen_is_wider_than_the_window(
    browser: Browser, watched: Watched, origin: str, width: int, scheme: str
) -> None:
    watched.call()
    for screen in ("mesh", "calls", "explain", "config"):
        browser.do("open", url=f"{origin}/#{screen}", width=width, scheme=scheme)
        browser.wait("#link-text", "live")
        widths = browser.do("evaluate", code="document.documentElement.scrollWidth")
        assert widths <= width


def test_nothing_moves_where_that_is_not_wanted(
    browser: Browser, watched: Watched, origin: str
) -> None:
    code = "getComputedStyle(document.querySelector('.flow')).animationName"
    browser.do("open", url=f"{origin}/", motion="reduce")
    browser.wait(".node.is-host", HOST)
    assert browser.do("evaluate", code=code) == "none"
