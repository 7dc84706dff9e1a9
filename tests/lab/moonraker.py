"""The real Moonraker on a printer of the harness, and clients of its HTTP and its websocket."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import os
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, List, Optional

import websocket

from . import processes
from .client import Client, Message
from .closing import Closing
from .klippers import CACHE
from .printer import LabPrinter
from .waiting import wait_until

START_TIMEOUT = 30.0

_CONFIG = """\
[server]
host: 127.0.0.1
port: {port}
klippy_uds_address: {sock}
[machine]
provider: none
validate_service: False
validate_config: False
[authorization]
trusted_clients: 127.0.0.1
# Pages that a test serves
cors_domains: http://127.0.0.1:*
"""


class MoonrakerError(Exception):
    """Moonraker answered with an error; str() is its message, code that of HTTP or JSON-RPC."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class LabMoonraker(Closing):
    """One Moonraker, on a free port of 127.0.0.1; also a context manager that stops it.

    Made in the printer's own folder, so close it before the lab.
    """

    def __init__(self, printer: LabPrinter) -> None:
        self.printer = printer
        self.folder = printer.folder / "moonraker"
        self.port = 0
        self.process: Optional[subprocess.Popen[bytes]] = None

    def start(self) -> "LabMoonraker":
        """Start it, and wait until it serves the printer, which is ready itself."""
        program = CACHE / "venv-moonraker/bin/moonraker"
        if not program.exists():
            raise LookupError("moonraker is not set up: run tests/setup.sh moonraker")
        self.port = self.port or _free_port()
        (self.folder / "config").mkdir(parents=True, exist_ok=True)
        (self.folder / "config/moonraker.conf").write_text(
            _CONFIG.format(port=self.port, sock=self.printer.sock)
        )
        env = dict(os.environ, GIT_CEILING_DIRECTORIES=str(CACHE))
        with open(self.folder / "moonraker.err", "ab") as errors:
            self.process = processes.spawn(
                [str(program), "-d", str(self.folder)],
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        return self.wait_ready()

    def wait_ready(self) -> "LabMoonraker":
        """Wait until it says that Klippy is ready."""

        def ready() -> bool:
            try:
                info = self.get("/server/info")
            except (OSError, MoonrakerError):
                return False
            return bool(info["klippy_connected"] and info["klippy_state"] == "ready")

        wait_until(ready, START_TIMEOUT, "Moonraker says that Klippy is ready", [self])
        return self

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """End it as systemd would; harmless when stopped."""
        if self.process:
            processes.end(self.process, grace=5.0)
            self.process = None

    def restart(self) -> None:
        """Stop it and start it again, on the same port."""
        self.stop()
        self.start()

    def get(self, path: str, timeout: float = 10.0, **params: str) -> Any:
        """The result of a GET request, its parameters in the address; MoonrakerError for errors."""
        query = "?" + urllib.parse.urlencode(params) if params else ""
        return self._http(path + query, None, timeout)

    def post(self, path: str, body: Optional[Message] = None, timeout: float = 10.0) -> Any:
        """The result of a POST request with a JSON body; MoonrakerError for errors."""
        return self._http(path, json.dumps(body or {}).encode(), timeout)

    def rpc(self) -> "Rpc":
        """A new websocket."""
        return Rpc(self.port)

    def tail(self, lines: int = 30) -> str:
        """The end of its log, for people."""
        log: List[str] = []
        for path in (self.folder / "logs/moonraker.log", self.folder / "moonraker.err"):
            if path.exists():
                log += path.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(["--- moonraker.log", *log])

    def _http(self, path: str, body: Optional[bytes], timeout: float) -> Any:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=body,
            headers={"Content-Type": "application/json"} if body is not None else {},
        )
        # Whatever proxy the environment names is not for the loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as response:
                return json.loads(response.read())["result"]
        except urllib.error.HTTPError as problem:
            with problem:
                text = problem.read().decode(errors="replace")
            try:
                message = json.loads(text)["error"]["message"]
            except (ValueError, KeyError, TypeError):
                message = text
            raise MoonrakerError(problem.code, str(message)) from None


class Rpc(Client):
    """A JSON-RPC client on Moonraker's websocket. Not for several threads at once."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._socket = websocket.create_connection(
            f"ws://127.0.0.1:{port}/websocket", timeout=10.0, http_no_proxy=["127.0.0.1"]
        )

    def call(self, method: str, params: Optional[Message] = None, timeout: float = 10.0) -> Any:
        """Call a method (printer.router.call) and return its result.

        Raises MoonrakerError, or TimeoutError when no answer came within `timeout` seconds.
        """
        number = next(self._ids)
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
        self._socket.send(json.dumps(request))
        message = self._answer(number, timeout)
        if "error" in message:
            raise MoonrakerError(message["error"]["code"], message["error"]["message"])
        return message["result"]

    def receive(self, timeout: float) -> bool:
        self._socket.settimeout(max(0.001, timeout))
        try:
            message = json.loads(self._socket.recv())
        except websocket.WebSocketTimeoutException:
            return False
        self.file(message)
        return True

    def close(self) -> None:
        self._socket.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
