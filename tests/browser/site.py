"""The files of a built Mainsail over HTTP, as nginx serves them on a printer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.lab.closing import Closing
from tests.lab.klippers import CACHE

MAINSAIL = CACHE / "mainsail"


class _Handler(SimpleHTTPRequestHandler):
    """Serves a folder, but the settings of this run instead of its config.json."""

    def __init__(self, settings: bytes, *args: Any, **options: Any) -> None:
        self._settings = settings
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        if self.path.split("?")[0] != "/config.json":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self._settings)))
        self.end_headers()
        self.wfile.write(self._settings)
        return None

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Site(Closing):
    """Mainsail for the Moonraker on this port of 127.0.0.1, at the address `url`."""

    def __init__(self, moonraker_port: int, folder: Path = MAINSAIL) -> None:
        if not (folder / "index.html").exists():
            raise LookupError("Mainsail is not built: run tests/run.sh --browser")
        settings = {"hostname": "127.0.0.1", "port": moonraker_port, "defaultLocale": "en"}
        handler = functools.partial(
            _Handler, json.dumps(settings).encode(), directory=str(folder.resolve())
        )
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
