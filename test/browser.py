# SPDX-License-Identifier: Apache-2.0
"""A headless Chromium without network, for tests of the pages that we write."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # in containers the tests run as root
    "--disable-gpu",
    "--enable-unsafe-swiftshader",  # WebGL in software
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # a page that asks for anything online shows an error
    "--force-device-scale-factor=1",
    "--hide-scrollbars",
)
WIDTH_PX, HEIGHT_PX = 1400, 1000
LONGEST_WAIT_S = 30.0


def missing_part() -> str:
    """Name what is lacking for a browser; empty where there is one."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed (pip install selenium)"
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed (apt-get install chromium chromium-driver)"
    return ""


class Browser:
    """One browser with one page.

    Attributes:
        driver: selenium's WebDriver, for everything that is not below.
        downloads: Folder that the page's downloads go to.
    """

    def __init__(self, folder: Path) -> None:
        """Start it; its profile and downloads are in ``folder``."""
        from selenium import webdriver

        self.downloads = folder / "downloads"
        self.downloads.mkdir()
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(flag)
        options.add_argument(f"--window-size={WIDTH_PX},{HEIGHT_PX}")
        options.add_experimental_option(
            "prefs", {"download.default_directory": str(self.downloads)}
        )
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(LONGEST_WAIT_S)

    def open(self, page: Path) -> None:
        """Load a file of this disk, as a double click on it does."""
        self.errors()  # those of the page before
        self.driver.get(page.resolve().as_uri())

    def errors(self) -> list[str]:
        """Errors on the console since the last call, such as of scripts and missing files."""
        entries = self.driver.get_log("browser")
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page (``return`` gives a value, ``arguments[0]`` is the first)."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector: str) -> Any:
        """Return the first element of a CSS selector."""
        return self.driver.find_element("css selector", selector)

    def find_all(self, selector: str) -> list[Any]:
        """Return all elements of a CSS selector."""
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def press(self, keys: str) -> None:
        """Type into the page, such as ``Keys.ARROW_RIGHT`` of selenium."""
        self.find("body").send_keys(keys)

    def wait_for(self, condition: str | Callable[[], Any]) -> Any:
        """Wait until a JavaScript expression or a function is truthy, and return its value."""
        from selenium.webdriver.support.ui import WebDriverWait

        def ask(_: Any) -> Any:
            return self.run(f"return {condition}") if isinstance(condition, str) else condition()

        return WebDriverWait(self.driver, LONGEST_WAIT_S, 0.05).until(ask)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the page in pixels, exactly."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    def picture(self, path: Path) -> Path:
        """Write what can be seen now as PNG."""
        self.driver.save_screenshot(str(path))
        return path

    def close(self) -> None:
        """End it and the processes that it started."""
        self.driver.quit()


def start_or_skip(folder: Path) -> Browser:
    """Start a browser, or skip the test with what is lacking."""
    lacking = missing_part()
    if lacking:
        pytest.skip(lacking)
    return Browser(folder)
