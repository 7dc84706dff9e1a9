"""ROUTER_DIAGNOSE and router/diagnose on printers that work, and other programs beside us."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import threading
from contextlib import contextmanager
from typing import Iterator

import pytest

from klippy_extras.router.version import VERSION
from tests.lab import config
from tests.lab.api import ApiClosed, ApiError
from tests.lab.moonraker import LabMoonraker
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until
from tests.system.findings import INCLUDES, console_after, findings, not_ok, rows
from tests.system.macros import (
    check_log,
    recorder,
    remote_call,
    remote_result,
    router_section,
    start_trio,
    wait_known,
)
from tests.system.old_daemon import old_daemon

pytestmark = pytest.mark.pairs

OF_HOST = [
    "router", "klippy", "socket", "commands", "other routers", "objects", "subscriptions", "queue",
    "last error",
]  # fmt: skip
OF_PEER = [
    "socket", "listener", "klippy", "round trip", "methods", "include", "watchdog", "echo",
    "other routers", "objects", "subscriptions", "queue", "last error",
]  # fmt: skip


@pytest.fixture(scope="module")
def trio(shared_lab):
    return start_trio(shared_lab, led=INCLUDES, afc=INCLUDES)


@pytest.fixture
def main(trio):
    yield trio.main
    check_log(trio.main)


@pytest.fixture
def led(trio):
    return trio.led


def test_all_is_well(main):
    found = rows(main)
    assert [(row["printer"], row["check"]) for row in found] == (
        [("main", check) for check in OF_HOST]
        + [("led", check) for check in OF_PEER]
        + [("afc", check) for check in OF_PEER]
    )
    assert [row for row in found if row["result"] != "ok"] == []


def test_the_findings(main, led):
    of_led = findings(main, "led")
    assert f"{led.sock}, owner this user (uid {os.geteuid()})" in of_led["socket"]
    assert led.process and f"pid {led.process.pid}, " in of_led["listener"]
    assert "ready" in of_led["klippy"]
    assert "10 samples" in of_led["round trip"]
    assert VERSION in of_led["include"]
    assert "there and back in " in of_led["echo"]
    of_main = findings(main, "main")
    assert VERSION in of_main["router"]
    assert "Python 3." in of_main["klippy"]
    assert ("Kalico" in of_main["klippy"]) is (main.kind == "kalico")
    assert main.sock in of_main["socket"]


def test_the_command_prints_the_same(main):
    lines = console_after(main)
    count = len(OF_HOST) + 2 * len(OF_PEER)
    assert lines[-1] == f"// Checks: {count} ok, 0 WARN, 0 FAIL"
    assert lines[0] == f"// ok   main router: version {VERSION}"
    assert [line.split(": ")[0] for line in lines[:-1]] == (
        [f"// ok   main {check}" for check in OF_HOST]
        + [f"// ok   led {check}" for check in OF_PEER]
        + [f"// ok   afc {check}" for check in OF_PEER]
    )


def test_the_command_blocks_nothing(main):
    mark = main.mark()
    main.script("ROUTER_DIAGNOSE\nSHOW AFTER=1")
    main.wait_line("// Checks: ", start=mark)
    assert main.console[mark].startswith("// SHOW ")


def test_a_target(main):
    lines = console_after(main, "ROUTER_DIAGNOSE TARGET=afc")
    assert [line.split()[2] for line in lines[:-1]] == ["afc"] * len(OF_PEER)
    with pytest.raises(ApiError, match="Unknown printer 'ledd'. Known: main, led, afc"):
        main.script("ROUTER_DIAGNOSE TARGET=ledd")
    with pytest.raises(ApiError, match="Unknown printer 'ledd'"):
        rows(main, target="ledd")


def test_a_macro_of_a_peer_gets_a_parameter_for_each_check(main, led):
    result = remote_result(led, "router/diagnose", target="afc")
    assert result["RESULT"] == "ok"
    assert result["AFC_OTHER_ROUTERS"].startswith("ok: none")
    assert len(result) == 1 + len(OF_PEER)


def test_the_command_of_a_peer(main, led):
    mark = led.mark()
    led.script("ROUTER_DIAGNOSE TARGET=led")
    led.wait_line("LED_ECHO = ok: there and back", start=mark)
    led.wait_line("LED_LAST_ERROR = ", start=mark)


def test_through_moonraker(main):
    with LabMoonraker(main) as moonraker:
        moonraker.start()
        found = moonraker.get("/printer/router/diagnose", target="led")["checks"]
        assert [row["check"] for row in found] == OF_PEER
        assert {row["result"] for row in found} == {"ok"}
        with moonraker.rpc() as rpc:
            assert rpc.call("printer.router.diagnose", {"target": "main"})["checks"]
        # Moonraker is connected to the host, and does not answer calls for the router
        assert not_ok(main, "main") == {}


def test_subscriptions_and_handlers_are_counted(main, led):
    led.script("ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW")
    led.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=main OBJECTS=toolhead CALLBACK=SHOW")
    main.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=toolhead CALLBACK=SHOW_A")
    main.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=toolhead CALLBACK=SHOW_B")
    of_led = "ok: 2 to its status, 1 of its own, and 1 event handler"
    wait_until(lambda: of_led in findings(main, "led")["subscriptions"], 10.0, of_led, [main], 0.0)
    of_main = "ok: 1 to its status, 2 of its own, and 0 event handlers"
    assert findings(main, "main")["subscriptions"] == of_main
    led.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=e\nROUTER_OBJECTS_UNSUBSCRIBE TARGET=main")
    main.script("ROUTER_OBJECTS_UNSUBSCRIBE TARGET=led")


def test_a_diagnosis_is_not_an_event_and_leaves_nothing_behind(main, led):
    before = main.query(["router"])["router"]
    rows(main)
    after = main.query(["router"])["router"]
    assert after["events"] == before["events"]
    assert after["subscriptions"] == before["subscriptions"]


def test_too_many_diagnoses_at_a_time(main):
    with main.api() as api:
        # All six arrive together: one whose echo test finds another one running ends within
        # milliseconds, and leaves its place to the next
        main.freeze()
        try:
            numbers = [api.request("router/diagnose") for _ in range(6)]
        finally:
            main.thaw()
        answers = []
        for number in numbers:
            try:
                answers.append(len(api.answer(number)["checks"]))
            except ApiError as e:
                answers.append(str(e))
    assert [a for a in answers if isinstance(a, str)] == [
        "4 diagnoses are running: try again in a few seconds"
    ] * 2
    rows(main, target="main")


# Other programs


@contextmanager
def another_program(led: LabPrinter, printers: str) -> Iterator[None]:
    """A program that answers router/printers/list as the router does, for calls of `led`."""
    with led.api() as api, led.api() as speaker:
        method = "router/printers/list"
        template = {"method": method}
        params = {"remote_method": method, "response_template": template}
        api.call("register_remote_method", params)

        def answer() -> None:
            try:
                while True:
                    call = api.wait_for(lambda m: m.get("method") == method, 60.0)
                    callback = call["params"]["gcode_callback"]
                    speaker.call("gcode/script", {"script": f"{callback} PRINTERS='{printers}'"})
            except (ApiClosed, TimeoutError, OSError, ValueError):
                pass

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        api.socket.shutdown(2)
        thread.join(10.0)


@pytest.mark.parametrize("printers", ["voron,led", "main,led,afc"])
def test_another_program_that_answers_the_calls_of_a_peer(main, led, printers):
    with another_program(led, printers):
        assert not_ok(main, "led") == {
            "other routers": "warn: another router, or the old daemon, answers its calls as well,"
            f" so that all of them run twice. It knows the printers {printers}. Stop and disable"
            " the old daemon, or write accept_calls: False in section [router led] of one of the"
            " main printers"
        }
        assert not_ok(main, "afc") == {}
    assert not_ok(main, "led") == {}


def test_another_router(trio, main):
    text = f"[router]\nname: voron\n{router_section(trio.lab, 'led')}"
    voron = trio.lab.add(main.kind, "voron", config.printing(text))
    with voron.start():
        voron.wait_ready()
        wait_known(voron, "led")
        assert "It knows the printers voron,led." in not_ok(main, "led")["other routers"]
        assert "It knows the printers main,led,afc." in not_ok(voron, "led")["other routers"]
        # Both at once: each finds the other, whichever token the macro has
        with main.api() as api, voron.api() as other:
            numbers = (
                api.request("router/diagnose", {"target": "led"}),
                other.request("router/diagnose", {"target": "led"}),
            )
            for answer in (api.answer(numbers[0]), other.answer(numbers[1])):
                found = {row["check"]: row["result"] for row in answer["checks"]}
                assert found["echo"] == "ok"
    del trio.lab.printers["voron"]
    wait_until(lambda: not_ok(main, "led") == {}, 10.0, "led is ours alone", [main])


def test_a_daemon_that_still_runs(trio, main):
    with old_daemon(trio.lab) as pid:

        def found(name: str) -> str:
            return not_ok(main, name).get("other routers", "")

        wait_until(lambda: "reference_daemon.py" in found("main"), 20.0, "main has it", [main])
        assert f"also go to pid {pid}, " in found("main")
        wait_until(
            lambda: all("main,led,afc" in found(name) for name in ("led", "afc")),
            20.0,
            "the peers have it",
            [main],
        )
    wait_until(lambda: not_ok(main, "led") == {}, 20.0, "it has ended", [main])


def test_another_program_that_answers_the_calls_of_the_host(main):
    with main.api() as api:
        method = "router/gcode/script"
        template = {"method": method}
        api.call("register_remote_method", {"remote_method": method, "response_template": template})
        found = not_ok(main, "main")
        assert list(found) == ["other routers"]
        assert f"also go to pid {os.getpid()}, " in found["other routers"]
    wait_until(lambda: not_ok(main, "main") == {}, 10.0, "the program is gone", [main])


def test_only_the_peer_itself_can_answer_an_echo(main, led):
    for params in ({}, {"token": 1}, {"token": "x", "printers": "voron"}, {"token": {"a": []}}):
        remote_call(led, "router/echo", **params)
    assert not_ok(main, "led") == {}


# Includes


@pytest.mark.parametrize(
    ("text", "say", "others"),
    [
        ("", "router_api.cfg is not included. At the top of its printer.cfg write [incl", "needs"),
        (
            "[gcode_macro ROUTER_GCODE_SCRIPT]\ngcode:\n",
            "has ROUTER_ macros from another include, such as the old daemon's. Write [include /",
            "needs",
        ),
        (
            INCLUDES + '[gcode_macro _ROUTER]\nvariable_version: "0.0.1"\n',
            f"has version 0.0.1, the router {VERSION}: update both, then RESTART led",
            "",
        ),
    ],
    ids=["none", "another", "version"],
)
def test_includes(lab, kind, text, say, others):
    main = lab.printer(kind, "main", config.printing("[router]\n" + router_section(lab, "led")))
    lab.printer(kind, "led", config.printing(recorder() + text))
    lab.wait_ready()
    wait_known(main, "led")
    found = not_ok(main, "led")
    assert say in found.pop("include")
    assert "Include /" in found.pop("watchdog", "Include /")
    if others:
        assert "needs this version of router_api.cfg" in found.pop("echo")
        assert "needs this version of router_api.cfg" in found.pop("other routers")
    assert found == {}


def test_a_peer_with_a_router_of_its_own(lab, kind):
    main = lab.printer(kind, "main", config.printing("[router]\n" + router_section(lab, "led")))
    lab.printer(kind, "led", config.printing("[router]\nname: led\n" + INCLUDES))
    lab.wait_ready()
    wait_known(main, "led")
    found = findings(main, "led")
    assert not_ok(main, "led") == {}
    assert found["methods"] == "ok: none registered there: it has a router of its own"
    assert found["other routers"] == "ok: its own, which exchanges events with this one"


def test_macros_that_replace_commands(lab, kind):
    main = lab.printer(kind, "main", config.printing("[router]\n" + INCLUDES)).wait_ready()
    found = not_ok(main, "main")
    assert list(found) == ["commands"]
    assert "replace ROUTER_DIAGNOSE, ROUTER_EVENT_SUBSCRIBE, " in found["commands"]
