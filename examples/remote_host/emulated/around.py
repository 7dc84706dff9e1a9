"""The other machine of this example, on this one: an sshd on loopback, and the tunnel to it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from tests.lab.closing import Closing
from tests.lab.lab import Lab
from tests.lab.sshd import Sshd, SshTunnel, find_sshd


class OtherMachine(Closing):
    """As if led were there; by another user, if the example runs as root."""

    def __init__(self, lab: Lab) -> None:
        find_sshd(download=True)
        self._sshd = Sshd(lab.folder)
        self._sshd.take(lab.printers["led"])
        self._tunnel = SshTunnel(self._sshd, "led", lab.sock("led")).start()

    def close(self) -> None:
        self._tunnel.close()
        self._sshd.close()


start = OtherMachine
