"""Mainsail's dashboard in a browser: what a user sees there, and what a user does."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from typing import List

from playwright.sync_api import Locator, Page

# Keeps the texts of red messages, which vanish after some seconds
_KEEP_ERRORS = """
window.redMessages = [];
new MutationObserver((changes) => {
    for (const change of changes)
        for (const node of change.addedNodes)
            if (node.nodeType === 1 && node.matches('.v-toast__item--error'))
                window.redMessages.push(node.innerText);
}).observe(document, {childList: true, subtree: true});
"""


class Dashboard:
    """The page after open(). Names of devices are as Mainsail shows them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._messages: List[str] = []
        page.add_init_script(_KEEP_ERRORS)
        page.on("pageerror", lambda error: self._messages.append(str(error)))

    def open(self, url: str) -> "Dashboard":
        self.page.goto(url)
        self.panel("temperature").wait_for()
        return self

    def reload(self) -> None:
        """Load the page again, as after F5."""
        self._messages += self._red_messages()
        self.open(self.page.url)

    def panel(self, name: str) -> Locator:
        """A panel by the name of its class in Mainsail, without -panel."""
        return self.page.locator(f".{name}-panel")

    def temperature_row(self, name: str) -> Locator:
        """The line of a heater or sensor."""
        exactly = self.page.locator("td.name", has_text=re.compile(rf"^\s*{re.escape(name)}\s*$"))
        return self.panel("temperature").locator("tr").filter(has=exactly)

    def temperature(self, name: str) -> Locator:
        """What it shows as its temperature."""
        return self.temperature_row(name).locator("td.current span").first

    def errors(self) -> List[str]:
        """The red messages and the exceptions since open()."""
        return self._messages + self._red_messages()

    def _red_messages(self) -> List[str]:
        messages: List[str] = self.page.evaluate("window.redMessages")
        return messages
