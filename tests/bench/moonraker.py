"""Jobs through Moonraker: HTTP with a kept connection, a curl process each, MQTT."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, List, Optional

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.lab import processes
from tests.lab.closing import Closing
from tests.lab.moonraker import LabMoonraker
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until

from .clients import TIMEOUT, Work

PATH = "/printer/gcode/script"
INSTANCE = "bench"
REQUESTS = f"{INSTANCE}/moonraker/api/request"


def mosquitto() -> Optional[str]:
    """The program, where it is installed."""
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class Http:
    """One connection, kept; nothing but a socket, so that the client costs next to nothing."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self, script: str) -> Work:
        body = json.dumps({"script": script})
        self._socket.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        return self._finish

    def _finish(self) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._socket.recv(65536)
        head, body = answer.split(b"\r\n\r\n", 1)
        lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        while len(body) < int(lines[b"content-length"]):
            body += self._socket.recv(65536)
        if b"result" not in body:
            raise RuntimeError(f"Moonraker says {body!r}")


class Curl:
    """A process each, as a shell command of a macro would be."""

    def __init__(self, port: int) -> None:
        # Without the user's ~/.curlrc or proxy
        self._command = ["curl", "-q", "-s", "--noproxy", "*", "-X", "POST"]
        self._command += ["-H", "Content-Type: application/json", f"http://127.0.0.1:{port}{PATH}"]

    def begin(self, script: str) -> Work:
        process = subprocess.Popen(
            [*self._command, "-d", json.dumps({"script": script})], stdout=subprocess.DEVNULL
        )

        def finish() -> None:
            process.wait(TIMEOUT)

        return finish


class Mqtt(Closing):
    """A client of Moonraker's API over MQTT; a real Mosquitto, which ends with the context."""

    def __init__(self, folder: Path) -> None:
        program = mosquitto()
        if program is None:
            raise LookupError("mosquitto is not installed")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        settings = folder / "mosquitto.conf"
        settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
        self._process = processes.spawn(
            [program, "-c", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._answers: List[Any] = []
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._message
        self._id = 0

    def settings(self, name: str = INSTANCE) -> str:
        """Moonraker's section."""
        return f"[mqtt]\naddress: 127.0.0.1\nport: {self.port}\ninstance_name: {name}\n"

    def connect(self) -> None:
        """Connect, and wait until Moonraker answers over MQTT."""

        def connected() -> bool:
            try:
                self._client.connect("127.0.0.1", self.port)
            except OSError:
                return False
            return True

        wait_until(connected, 10.0, "mosquitto listens")
        wait_until(self._loop, 10.0, "mosquitto answers")
        self._client.subscribe(f"{INSTANCE}/moonraker/api/response")

        def answers() -> bool:
            self._send("server.info", {})
            deadline = time.monotonic() + 0.5
            while not self._answers and time.monotonic() < deadline:
                self._loop()
            return bool(self._answers)

        wait_until(answers, 30.0, "Moonraker answers over MQTT")
        time.sleep(0.5)
        self._loop()

    def begin(self, script: str) -> Work:
        self._answers.clear()
        number = self._send("printer.gcode.script", {"script": script})

        def finish() -> None:
            deadline = time.monotonic() + TIMEOUT
            while not any(answer.get("id") == number for answer in self._answers):
                self._loop()
                if time.monotonic() > deadline:
                    raise TimeoutError("no answer over MQTT")

        return finish

    def _send(self, method: str, params: Any) -> int:
        self._id += 1
        request = {"jsonrpc": "2.0", "method": method, "params": params, "id": self._id}
        self._client.publish(REQUESTS, json.dumps(request))
        return self._id

    def _message(self, client: Any, data: Any, message: MQTTMessage) -> None:
        self._answers.append(json.loads(message.payload))

    def _loop(self) -> bool:
        self._client.loop(0.05)
        return bool(self._client.is_connected())

    def close(self) -> None:
        self._client.disconnect()
        processes.end(self._process, grace=2.0)


def start(printer: LabPrinter, more: str) -> LabMoonraker:
    """A Moonraker on this printer, with these sections besides."""
    moonraker = LabMoonraker(printer).start()
    if more:
        with open(moonraker.folder / "config/moonraker.conf", "a") as settings:
            settings.write(more)
        # In its own process: it reads its settings again
        moonraker.post("/server/restart")
        time.sleep(1.0)
        moonraker.wait_ready()
    return moonraker
