"""The shells install.sh must run under, and a bench for it: HOME, Klipper tree, clone."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from .bench import ROOT, Bench, Shell, git, make_tree


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HOME with a clone of the project, as it is here now, and a Klipper tree."""
    origin = tmp_path_factory.mktemp("origin")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("klippy_extras", "includes"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, origin / name, ignore=ignore)
    shutil.copy(ROOT / "install.sh", origin)
    shutil.copy(ROOT / ".gitignore", origin)
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", "Everything")
    git(origin, "tag", "v0.1.0")
    home = tmp_path_factory.mktemp("template")
    git(home, "clone", "-q", str(origin), "klipper router")
    shutil.rmtree(home / "klipper router/.git/hooks", ignore_errors=True)
    make_tree(home / "klipper")
    return home


@pytest.fixture(scope="session")
def applets() -> Iterator[Path]:
    """A PATH that holds BusyBox's applets and nothing else."""
    busybox = shutil.which("busybox") or shutil.which(ROOT / ".cache/busybox/bin/busybox")
    if not busybox:
        pytest.skip("no busybox here: run tests/install/get_busybox.sh, or install it")
    folder = Path(tempfile.mkdtemp(prefix="router-applets-"))
    folder.chmod(0o755)
    subprocess.run([busybox, "--install", "-s", str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["dash", "busybox"])
def shell(request: pytest.FixtureRequest) -> Shell:
    """A shell of printers, with the PATH that it has there."""
    if request.param == "busybox":
        applets: Path = request.getfixturevalue("applets")
        return Shell("busybox", [str(applets / "sh")], str(applets))
    dash = shutil.which("dash")
    if not dash:
        pytest.skip("no dash here: install it (apt install dash)")
    return Shell("dash", [dash], "/usr/bin:/bin")


@pytest.fixture
def bench(shell: Shell, template: Path) -> Iterator[Bench]:
    """A new HOME with a clone of the project and a Klipper tree in it."""
    # Not tmp_path: other users cannot enter it
    folder = Path(tempfile.mkdtemp(prefix="router-install-")).resolve()
    folder.chmod(0o755)
    try:
        yield Bench(folder, shell, template)
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the person's own Klipper or git may lead install.sh anywhere."""
    for name in list(os.environ):
        if name.startswith("GIT_"):
            monkeypatch.delenv(name)
