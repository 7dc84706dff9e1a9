"""The shells that install.sh must run under, and a machine to run it on."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from .machine import ROOT, Machine, Shell, git, make_repository, make_tree


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What each machine gets a copy of.

    `home` holds a clone of the project, as it is in the working tree, and a Klipper tree;
    `kalico` is a Kalico tree.
    """
    origin = tmp_path_factory.mktemp("origin")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("klippy_extras", "includes"):
        shutil.copytree(ROOT / name, origin / name, ignore=ignore)
    for name in ("install.sh", ".gitignore"):
        shutil.copy(ROOT / name, origin)
    make_repository(origin)
    git(origin, "tag", "v0.1.0")
    git(origin, "repack", "-adq")  # One file for a machine to copy, instead of a hundred
    folder = tmp_path_factory.mktemp("template")
    home = folder / "home"
    home.mkdir(mode=0o700)
    git(home, "clone", "-q", "--template=", str(origin), "klipper router")
    make_tree(home / "klipper")
    make_tree(folder / "kalico", kalico=True)
    return folder


@pytest.fixture(scope="session")
def applets() -> Iterator[Path]:
    """A folder for PATH that holds BusyBox's applets and nothing else."""
    busybox = shutil.which("busybox") or shutil.which(ROOT / ".cache/busybox/busybox")
    if not busybox:
        pytest.skip("no busybox: run tests/lab/get_program.sh busybox, or install it")
    folder = Path(tempfile.mkdtemp(prefix="router-applets-"))
    folder.chmod(0o755)
    subprocess.run([busybox, "--install", "-s", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["dash", "busybox"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """A shell that printers have, with its PATH there."""
    if request.param == "busybox":
        applets: Path = request.getfixturevalue("applets")
        return Shell("busybox", [str(applets / "sh")], str(applets))
    dash = shutil.which("dash")
    if not dash:
        pytest.skip("no dash: install it (apt install dash)")
    return Shell("dash", [dash], "/usr/bin:/bin")


@pytest.fixture
def machine(request: pytest.FixtureRequest, shell: Shell, template: Path) -> Iterator[Machine]:
    """A machine of its own for each test.

    HOME has a space in its name unless the module says HOME_NAME.
    """
    # Not tmp_path, which other users cannot enter
    folder = Path(tempfile.mkdtemp(prefix="router-install-")).resolve()
    folder.chmod(0o755)
    try:
        yield Machine(folder, shell, template, getattr(request.module, "HOME_NAME", "my home"))
    finally:
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the git settings of whoever runs the tests away from install.sh."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
