# SPDX-License-Identifier: Apache-2.0
"""The browser of the page tests: it sees errors, draws with WebGL, and has no network."""

from __future__ import annotations

from pathlib import Path

from browser import Browser


def test_errors_of_a_page_are_seen(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>fine</p>", encoding="utf-8")
    browser.open(page)
    assert browser.errors() == []
    page.write_text("<script>nothing()</script><img src=absent.png>", encoding="utf-8")
    browser.open(page)
    assert len(browser.errors()) == 2


def test_there_is_no_network(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<script src='https://www.debian.org/x.js'></script>", encoding="utf-8")
    browser.open(page)
    assert "ERR_NAME_NOT_RESOLVED" in browser.errors()[0]


def test_webgl_is_there(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("<canvas></canvas>", encoding="utf-8")
    browser.open(page)
    assert browser.run("return document.querySelector('canvas').getContext('webgl') !== null")
