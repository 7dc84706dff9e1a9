"""A peer on another machine: through the tunnel of examples/remote_host/, ssh and a real sshd.

The other machine is another user of this one, if these tests run as root, and else the same user.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.forwarder import Forwarder
from tests.lab.sshd import UNIT, NoSshd, Sshd, SshTunnel, exec_start
from tests.lab.waiting import wait_until
from tests.system.macros import (
    check_log,
    fresh,
    recorder,
    remote_call,
    says,
    set_state,
    shown,
    wait_known,
    wait_shown,
)

TIMEOUT = 2.0
# Of the unit: ServerAliveInterval times ServerAliveCountMax, and the interval before
KEEPALIVE = 8.0
# Seconds, between the monotonic clocks of two machines: that is the time since they were started
CLOCK_DIFFERENCE = 1000

MAIN = """
[router]
status_interval: 0.05
on_connect: ROUTER_EVENT_SUBSCRIBE EVENT=to_main GCODE=SHOW_A
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    ROUTER_OBJECTS_SUBSCRIBE TARGET={params.PRINTER} OBJECTS="gcode_macro STATE:x" CALLBACK=SHOW_B
"""
LED = """
[gcode_macro ROUTER_ON_READY]
gcode:
    {action_respond_info("ROUTER_ON_READY")}
    {action_call_remote_method("router/event/subscribe", event="to_led", gcode="SHOW_A")}
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {action_call_remote_method("router/objects/subscribe", target=params.PRINTER,
        objects={"gcode_macro STATE": ["y"]}, gcode_callback="SHOW_B")}
"""


@pytest.fixture(scope="module")
def sshd(shared_lab):
    try:
        with Sshd(shared_lab.folder) as found:
            yield found
    except NoSshd as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def link(sshd):
    """The network between the two machines."""
    with Forwarder(("127.0.0.1", 0), ("127.0.0.1", sshd.port)) as network:
        yield network


@pytest.fixture(scope="module")
def running(shared_lab, sshd, link):
    """main and led, with everything between them on the way through ssh."""
    lab = shared_lab
    with SshTunnel(sshd, "led", lab.sock("led"), link.address[1]) as tunnel:
        section = f"[router led]\nsock: {tunnel.sock}\ntimeout: {TIMEOUT}\n"
        section += "mirror: gcode_macro STATE: x\n"
        main = lab.main(
            config.printing(MAIN + section + recorder() + says("ROUTER_ON_DISCONNECTED"))
        )
        led = lab.add(lab.peer_kind, "led", config.printing(recorder() + LED))
        sshd.take(led).start()
        tunnel.start()
        lab.wait_ready()
        yield SimpleNamespace(main=main, led=led, tunnel=tunnel, link=link, sshd=sshd)


@pytest.fixture
def far(running):
    """The same, after all works; afterwards nothing may be left of what a test did."""
    wait_known(running.main, "led")
    yield running
    running.link.delay = 0.0
    running.link.resume()
    running.led.thaw()
    running.tunnel.thaw()
    if not running.tunnel.is_running():
        running.tunnel.start()
    wait_known(running.main, "led")
    check_all_works(running)
    check_log(running.main)


def check_all_works(far):
    """Scripts, waits, status and events both ways, the mirror: each arrives once."""
    main, led = far.main, far.led
    # main's and led's own, and that of the mirror
    wait_until(lambda: count_subscriptions(main) == 3, 10.0, "as at first", [main, led])
    n, x, y = fresh(), fresh(), fresh()
    set_state(led, x=x)
    set_state(main, y=y)
    main.script(f"ROUTER_EVENT_TRIGGER EVENT=to_led N={n}")
    remote_call(led, "router/event/trigger", event="to_main", context={"n": n})
    expected = (
        (main, "SHOW_A", {"N": str(n)}),
        (main, "SHOW_B", {"GCODE_MACRO_STATE_X": str(x)}),
        (led, "SHOW_A", {"N": str(n)}),
        (led, "SHOW_B", {"GCODE_MACRO_STATE_Y": str(y)}),
    )
    for printer, macro, parameters in expected:
        wait_shown(printer, macro, **parameters)
    main.script(f'ROUTER_GCODE_SCRIPT TARGET=led SCRIPT="SHOW N={n}" WAIT=1')
    # What was sent twice has arrived twice by now
    for printer, macro, parameters in ((led, "SHOW", {"N": str(n)}), *expected):
        assert shown(printer, macro).count(parameters) == 1
    assert status(main)["mirror"]["gcode_macro STATE"] == {"x": x}


def count_subscriptions(main):
    return main.query({"router": ["subscriptions"]})["router"]["subscriptions"]


def status(main):
    fields = ["connected", "ready", "state", "latency", "reconnects", "mirror"]
    return main.query({"router led": fields})["router led"]


def wait_lost(far, reason, mark):
    """Wait until led is lost for this reason; no value of it is kept."""
    far.main.wait_line(f"ROUTER_ON_DISCONNECTED PRINTER='led' REASON='{reason}'", 15.0, mark)
    assert status(far.main)["mirror"]["gcode_macro STATE"] == {"x": None}


def send_and_lose(far, hold, lose=lambda: None):
    """Send led a script after hold(), and lose the connection before the answer.

    Returns the script's number.
    """
    number = fresh()
    hold()
    script = f'ROUTER_GCODE_SCRIPT TARGET=led SCRIPT="SHOW N={number}" WAIT=1'
    with far.main.api() as api:
        request = api.request("gcode/script", {"script": script})
        time.sleep(0.3)  # until it is in some buffer between here and there
        lose()
        with pytest.raises(ApiError, match="^led: connection lost, outcome unknown$"):
            api.answer(request, 30.0)
    return number


def count_runs(far, number):
    return shown(far.led).count({"N": str(number)})


def test_everything_goes_through_the_tunnel(far):
    check_all_works(far)
    mark = far.main.mark()
    far.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 far' WAIT=1")
    far.main.wait_line("led: far", start=mark)
    with pytest.raises(ApiError, match="led: .*NONSENSE"):
        far.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=NONSENSE WAIT=1")


def test_the_diagnosis_names_the_tunnel(far):
    mark = far.main.mark()
    far.main.script("ROUTER_DIAGNOSE TARGET=led")
    line = far.main.wait_line("but a tunnel", start=mark)
    assert f"pid {far.tunnel.process.pid}, /usr/bin/ssh -N " in line
    assert line.endswith(
        f"not that Klipper itself, which is pid {far.led.process.pid}, but a tunnel"
    )
    far.main.wait_line("round trip", start=mark)


def test_who_can_open_the_sockets(far):
    """Here only the user of the main printer; there the user who logs in."""
    here, there = os.stat(far.tunnel.sock), os.stat(far.led.sock)
    assert (here.st_uid, here.st_mode & 0o777) == (os.geteuid(), 0o600)
    assert there.st_uid == pwd.getpwnam(far.sshd.user).pw_uid


def test_the_key_opens_nothing_else(far):
    """With what the guide writes before it in authorized_keys."""
    ended = far.sshd.run("echo", "hello")
    assert ended.returncode == 1
    assert "hello" not in ended.stdout


def test_the_tunnel_is_cut_and_restored(far):
    """A break counts as a new session of led: it registers again, and nothing is there twice."""
    mark, led_mark = far.main.mark(), far.led.mark()
    number = send_and_lose(far, far.led.freeze, far.tunnel.kill)
    wait_lost(far, "disconnected", mark)
    assert far.main.call("router/event/trigger", {"event": "to_led"})["delivered"] == []
    with pytest.raises(ApiError, match="led is not connected"):
        far.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SHOW N=lost' WAIT=1")
    far.led.thaw()
    far.tunnel.start()
    wait_known(far.main, "led")
    check_all_works(far)
    # led had it before the cut, and nobody has sent it again
    assert count_runs(far, number) == 1
    assert count_runs(far, "lost") == 0
    assert far.led.console[led_mark:].count("// ROUTER_ON_READY") == 1


def test_traffic_stops_without_a_close(far):
    """The router notices it before ssh does. ssh then ends, and systemd starts it again."""
    begin, mark = time.monotonic(), far.main.mark()
    number = send_and_lose(far, far.link.stall)
    wait_lost(far, "timeout", mark)
    assert TIMEOUT / 2 < time.monotonic() - begin < 2 * TIMEOUT + 1.0
    # ssh accepts new connections all the time, but led does not answer there
    assert far.tunnel.is_running()
    wait_until(lambda: not far.tunnel.is_running(), KEEPALIVE + 5.0, "ssh gives up", [far.tunnel])
    assert "Timeout, server" in far.tunnel.tail()
    far.link.resume()
    far.tunnel.start()
    wait_known(far.main, "led")
    check_all_works(far)
    assert count_runs(far, number) <= 1


def test_traffic_stops_and_goes_on(far):
    """What was in the tunnel arrives late, but once; what was refused never."""
    mark = far.main.mark()
    number = send_and_lose(far, far.tunnel.freeze)
    wait_lost(far, "timeout", mark)
    with pytest.raises(ApiError, match="led is not connected"):
        far.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SHOW N=refused' WAIT=1")
    far.tunnel.thaw()
    wait_known(far.main, "led")
    check_all_works(far)
    assert count_runs(far, number) == 1
    assert count_runs(far, "refused") == 0


def test_the_remote_klipper_restarts(far):
    reconnects, led_mark = status(far.main)["reconnects"], far.led.mark()
    far.led.begin_restart()
    far.led.wait_ready()
    wait_until(lambda: status(far.main)["reconnects"] > reconnects, 10.0, "again", [far.main])
    wait_known(far.main, "led")
    check_all_works(far)
    assert far.led.console[led_mark:].count("// ROUTER_ON_READY") == 1
    assert far.tunnel.is_running()


def test_the_remote_klipper_is_killed(far):
    """The tunnel stays, with nothing behind it: that is no connection."""
    mark = far.main.mark()
    number = send_and_lose(far, far.led.freeze, far.led.kill)
    wait_lost(far, "disconnected", mark)
    lines = far.main.log_text().count("router: led")
    time.sleep(2.5)  # the router tries again twice
    assert (status(far.main)["connected"], status(far.main)["state"]) == (False, "disconnected")
    assert far.main.log_text().count("router: led") == lines
    assert far.tunnel.is_running()
    far.led.start()
    far.led.wait_ready()
    wait_known(far.main, "led")
    check_all_works(far)
    assert count_runs(far, number) == 0


def test_a_slow_network(far):
    """0.2 s each way: all works and takes its time; led is not lost, though it answers late."""
    far.link.delay = 0.2
    mark, reconnects = far.main.mark(), status(far.main)["reconnects"]
    begin = time.monotonic()
    far.main.script('ROUTER_GCODE_SCRIPT TARGET=led SCRIPT="SHOW N=slow" WAIT=1')
    assert 0.4 <= time.monotonic() - begin < 2.0
    assert count_runs(far, "slow") == 1
    check_all_works(far)
    wait_until(lambda: status(far.main)["latency"] > 0.4, 10.0, "latency", [far.main])
    far.main.script("ROUTER_STATUS")
    line = far.main.wait_line("led: ready", start=mark)
    assert re.search(r"round trip 4\d\d\.\d ms|round trip [5-9]\d\d\.\d ms", line), line
    time.sleep(2 * TIMEOUT)
    assert status(far.main)["reconnects"] == reconnects
    # A cut is a cut, and the tunnel comes back over the slow network
    mark = far.main.mark()
    number = send_and_lose(far, lambda: None, far.tunnel.kill)
    wait_lost(far, "disconnected", mark)
    far.tunnel.start()
    wait_known(far.main, "led")
    check_all_works(far)
    assert count_runs(far, number) <= 1


def test_a_socket_that_was_left_behind(far):
    """ssh does not replace it without StreamLocalBindUnlink=yes, which the unit has."""
    far.tunnel.kill()
    assert os.path.exists(far.tunnel.sock)
    far.tunnel.start("-o", "StreamLocalBindUnlink=no")
    wait_until(lambda: not far.tunnel.is_running(), 10.0, "ssh gives up", [far.tunnel])
    assert "Address already in use" in far.tunnel.tail()
    wait_known(far.main, "led", ready=False)
    time.sleep(1.5)  # the router has tried again
    mark = far.main.mark()
    far.main.script("ROUTER_STATUS\nROUTER_DIAGNOSE TARGET=led")
    far.main.wait_line("led: not connected, Connection refused", start=mark)
    far.main.wait_line("nobody listens", start=mark)
    far.tunnel.start()
    wait_known(far.main, "led")


def other_clock():
    """The beginning of a command for which the monotonic clock is another one, as after a boot."""
    command = ["unshare", "--time", "--monotonic", str(CLOCK_DIFFERENCE)]
    if os.geteuid() != 0:
        command.insert(1, "--map-root-user")
    program = [*command, sys.executable, "-c", ""]
    if not shutil.which("unshare") or subprocess.run(program).returncode:
        pytest.skip(
            "no process can have a clock of its own here: this needs Linux 5.6, and root or user"
            " namespaces"
        )
    return command


@pytest.fixture
def clocks(lab, kind, sshd):
    """main, which moves, and two peers: near has the clock of this machine, remote has not."""
    sections, arrivals = "[router]\n", {}
    with contextlib.ExitStack() as stack:
        for name, prefix in (("near", []), ("remote", other_clock())):
            peer = lab.add(
                kind,
                name,
                config.printing(recorder() + says("_ROUTER_SYNC")),
                prefix=prefix,
                on_line=lambda line, name=name: arrivals.setdefault((name, line), time.monotonic()),
            )
            sshd.take(peer).start()
            tunnel = stack.enter_context(SshTunnel(sshd, name, peer.sock)).start()
            sections += f"[router {name}]\nsock: {tunnel.sock}\nmirror: gcode_macro STATE: x\n"
        sections += "[force_move]\nenable_force_move: True\n"
        main = lab.printer(kind, "main", config.whole(sections), mcu="fake")
        lab.wait_ready()
        wait_known(main, "near", "remote")
        main.script("SET_KINEMATIC_POSITION X=0 Y=0 Z=0")
        near, remote = lab.printers["near"], lab.printers["remote"]
        yield SimpleNamespace(main=main, near=near, remote=remote, arrivals=arrivals)


def test_the_clock_of_another_machine(clocks):
    """SYNC=1 needs to know the time there: on this machine it does, through a tunnel, too."""
    main = clocks.main
    for number, position in enumerate((60, 0)):
        main.script(
            f"G90\nG1 X{position} Y{position} F3000\n"
            f"ROUTER_GCODE_SCRIPT TARGET=near SYNC=1 SCRIPT='SHOW N={number}'\n"
            f"ROUTER_GCODE_SCRIPT TARGET=remote SYNC=1 SCRIPT='SHOW N={number}'\nM400"
        )
        for peer in (clocks.near, clocks.remote):
            wait_shown(peer, N=str(number))
        # Sent 0.5 s ahead, and when it is due
        near, remote = (clocks.arrivals[name, f"// SHOW N={number}"] for name in ("near", "remote"))
        assert remote - near > 0.2
    assert len(shown(clocks.near, "_ROUTER_SYNC")) == 2
    assert shown(clocks.remote, "_ROUTER_SYNC") == []
    assert [line for line in main.console if "SYNC=1" in line] == [
        "// Router: remote acts about 0.25 s after the moves of this printer, not in step (SYNC=1):"
        " it runs on another machine, whose clock is not known here"
    ]
    check_log(main)


def test_times_in_the_status_are_those_of_the_main_printer(clocks):
    def there():
        objects = {"target": "remote", "objects": {"toolhead": None}}
        return clocks.main.call("router/objects/query", objects)["eventtime"]

    assert there() - time.monotonic() > CLOCK_DIFFERENCE / 2
    status = clocks.main.query({"router remote": ["mirror_time", "latency"]})["router remote"]
    assert time.monotonic() - 30.0 < status["mirror_time"] <= time.monotonic()
    assert 0.0 < status["latency"] < 5.0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_unit():
    ended = subprocess.run(["systemd-analyze", "verify", UNIT], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_the_unit_is_one_for_each_printer():
    text = UNIT.read_text(encoding="utf-8")
    assert "EnvironmentFile=/etc/klipper-router/%i.env" in text
    assert "Restart=always" in text
    example = (UNIT.parent / "led.env").read_text(encoding="utf-8")
    environment = dict(re.findall(r"^(\w+)=(.*)$", example, re.MULTILINE))
    command = exec_start("led", "/run", environment)
    assert command[-3:] == [
        "-L",
        "/run/klipper-router-led/klippy.sock:/home/pi/printer_data/comms/klippy.sock",
        "pi@led.local",
    ]
