"""Fixtures: a printer with a peer, and Mainsail in a browser that shows it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
import shutil
from pathlib import Path
from typing import Any, Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.dashboard import Dashboard
from tests.browser.site import Site
from tests.lab.klippers import CACHE
from tests.lab.moonraker import LabMoonraker
from tests.lab.printer import LabPrinter

SIZE = {"width": 1280, "height": 1000}
# What Debian and others call it
NAMES = ("chromium", "chromium-browser", "google-chrome")

expect.set_options(timeout=15000)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("browser").addoption(
        "--pictures",
        type=Path,
        default=CACHE / "pictures",
        metavar="FOLDER",
        help="where each test leaves a picture of the page at its end (default: .cache/pictures)",
    )


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.fail("no Chromium was found: install it (apt install chromium)", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def moonraker(main: LabPrinter) -> Iterator[LabMoonraker]:
    """The Moonraker of `main`, which the module of the test starts."""
    with LabMoonraker(main) as moonraker:
        yield moonraker.start()


@pytest.fixture(scope="module")
def site(moonraker: LabMoonraker) -> Iterator[Site]:
    with Site(moonraker.port) as site:
        yield site


@pytest.fixture
def pictures(request: Any) -> Path:
    """The folder of the option --pictures."""
    folder: Path = request.config.getoption("--pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def dashboard(request: Any, chromium: Browser, site: Site, pictures: Path) -> Iterator[Dashboard]:
    """Mainsail's dashboard, opened for this test; it must show no error to the end."""
    # Its service worker would keep the settings of an earlier run
    context = chromium.new_context(viewport=SIZE, service_workers="block", color_scheme="dark")
    dashboard = Dashboard(context.new_page()).open(site.url)
    yield dashboard
    name = re.sub(r"[^\w.-]+", "-", request.node.name).strip("-")
    dashboard.page.screenshot(path=pictures / f"{name}.png")
    errors = dashboard.take_errors()
    context.close()
    assert errors == []
