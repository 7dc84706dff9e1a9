"""Mainsail's dashboard in a browser: what a user sees there, and what a user does."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import re
from typing import Any, List, Optional, Pattern

from playwright.sync_api import Locator, Page, WebSocket

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
# How the icons begin: toggle-switch and toggle-switch-off-outline of materialdesignicons.com
SWITCH_ON = re.compile(r"^M17,7H7A5,5 0 0,0 2,12")
SWITCH_OFF = re.compile(r"^M17 6H7c-3\.31 0-6 2\.69-6 6")


def _exactly(text: str) -> Pattern[str]:
    return re.compile(rf"^\s*{re.escape(text)}\s*$")


class Dashboard:
    """The page after open(). Names of devices are as Mainsail shows them."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._errors: List[str] = []
        page.add_init_script(_KEEP_ERRORS)
        self._websocket: Optional[WebSocket] = None
        page.on("websocket", self._opened)
        page.on("pageerror", lambda error: self._errors.append(str(error)))

    def open(self, url: str) -> "Dashboard":
        self.page.goto(url)
        self.panel("temperature").wait_for()
        return self

    def reload(self) -> None:
        """Load the page again, as after F5."""
        self._errors += self._red_messages()
        self.open(self.page.url)

    def sends(self, text: str) -> Any:
        """A context manager that ends when the page has sent Moonraker this text."""
        assert self._websocket
        return self._websocket.expect_event("framesent", lambda frame: text in frame)

    def _opened(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        websocket.on("framereceived", self._received)

    def _received(self, frame: str) -> None:
        """Keep a red line of the console. On the dashboard there is no other message about it."""
        message = json.loads(frame)
        if message.get("method") == "notify_gcode_response":
            self._errors += [line for line in message["params"] if line.startswith("!!")]

    def panel(self, name: str) -> Locator:
        """A panel by the name of its class in Mainsail, without -panel."""
        return self.page.locator(f".{name}-panel")

    def temperature_row(self, name: str) -> Locator:
        """The line of a heater or sensor."""
        exactly = self.page.locator("td.name", has_text=_exactly(name))
        return self.panel("temperature").locator("tr").filter(has=exactly)

    def temperature(self, name: str) -> Locator:
        """What it shows as its temperature."""
        return self.temperature_row(name).locator("td.current span").first

    def target(self, name: str) -> Locator:
        """The field for its target; a value typed there is sent with Enter."""
        return self.temperature_row(name).locator("td.target input")

    def device(self, name: str) -> Locator:
        """The line of a fan, pin, light or filament sensor in the panel Miscellaneous."""
        exactly = self.page.locator("span", has_text=_exactly(name))
        return self.panel("miscellaneous").locator(".v-subheader").filter(has=exactly)

    def slider(self, name: str) -> Locator:
        """The slider below that line."""
        row = self.device(name).locator("xpath=ancestor::*[contains(@class, 'row')][1]")
        return row.locator(".v-slider")

    def switch(self, name: str) -> Locator:
        """The button that turns the device on or off."""
        return self.device(name).locator("button.v-icon").last

    def switch_icon(self, name: str) -> Locator:
        """Its icon, which has SWITCH_ON or SWITCH_OFF as its attribute d."""
        return self.switch(name).locator("path")

    def light_color(self, name: str) -> Locator:
        """The round field with a light's color; a click opens light_dialog()."""
        return self.device(name).locator("._currentState")

    def light_dialog(self) -> Locator:
        return self.page.locator(".miscellaneous-light-neopixel-dialog")

    def macro(self, name: str) -> Locator:
        """The button of a macro, with that of its parameters, if it has some."""
        button = self.page.locator("button", has_text=_exactly(name))
        return self.panel("macros").locator(".v-item-group").filter(has=button)

    def menu(self) -> Locator:
        """The menu that is open, such as that of a macro's parameters."""
        return self.page.locator(".v-menu__content.menuable__content__active")

    def take_errors(self) -> List[str]:
        """What was shown in red, and exceptions: since open(), or since they were last taken."""
        taken = self._errors + self._red_messages()
        self._errors.clear()
        return taken

    def _red_messages(self) -> List[str]:
        messages: List[str] = self.page.evaluate("window.redMessages.splice(0)")
        return messages
