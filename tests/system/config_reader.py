"""Reads configurations as an installed Klipper does, and checks them with settings.py.

A program for that Klipper's Python: `config_reader.py FOLDER_OF_KLIPPY`. Standard input is a JSON
list of [configuration, this Klippy's API socket]; standard output is a JSON list of
{"settings": ...} or {"error": message}.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import dataclasses
import importlib
import json
import sys
import tempfile
from pathlib import Path
from unittest.mock import MagicMock


def read(configfile, text, own_sock):
    from router.settings import read_settings  # type: ignore[import-not-found]

    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        config = configfile.PrinterConfig(MagicMock()).read_config(file.name)
    try:
        settings = read_settings(config.getsection("router"), own_sock)
    except config.error as problem:
        return {"error": str(problem)}
    return {"settings": dataclasses.asdict(settings)}


def main():
    klippy = Path(sys.argv[1])
    # Current Klipper's modules import each other without a package
    is_package = (klippy / "__init__.py").exists()
    sys.path[:0] = [str(klippy.parent if is_package else klippy)]
    configfile = importlib.import_module("klippy.configfile" if is_package else "configfile")
    sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "klippy_extras")]
    results = [read(configfile, *case) for case in json.load(sys.stdin)]
    json.dump(results, sys.stdout, default=sorted)


if __name__ == "__main__":
    main()
