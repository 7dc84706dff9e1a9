"""The status of a peer as status of this printer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import copy
import json
import math

import pytest

from klippy_extras.router.status.mirror import Mirror
from tests.unit.fake_printer import FakePrinter
from tests.unit.fake_router import Network


@pytest.fixture
def led():
    return FakePrinter("led").connects()


def mirror(led, objects):
    made = Mirror(objects, lambda: 7.0)
    led.listeners.append(made)
    return made


def test_before_the_first_values_fields_are_none(led):
    one = mirror(led, {"fan": ["speed", "rpm"], "bed": None})
    assert one.values == {"fan": {"speed": None, "rpm": None}, "bed": {}}
    assert one.time is None


def test_changes_are_merged_and_make_new_objects(led):
    one = mirror(led, {"fan": ["speed", "rpm"], "bed": None})
    one.update(1.0, {"fan": {"speed": 0.5}, "bed": {"target": 60}})
    before, bed = one.values, one.values["bed"]
    one.update(2.0, {"fan": {"rpm": 7}})
    assert one.values == {"fan": {"speed": 0.5, "rpm": 7}, "bed": {"target": 60}}
    assert one.values is not before and one.values["fan"] is not before["fan"]
    assert one.values["bed"] is bed and before["fan"] == {"speed": 0.5, "rpm": None}
    assert one.time == 7.0


def test_all_values_of_an_offline_peer_are_none(led):
    one = mirror(led, {"fan": ["speed"], "bed": None})
    one.update(1.0, {"fan": {"speed": 0.5}, "bed": {"target": 60}})
    led.shuts_down()
    assert one.values["fan"] == {"speed": 0.5}
    led.disconnects()
    assert one.values == {"fan": {"speed": None}, "bed": {"target": None}}
    assert one.time is None


def test_any_json_encoder_accepts_it(led):
    deep: list = []
    for _ in range(100):
        deep = [deep]
    one = mirror(led, {"fan": None})
    one.update(1.0, {"fan": {"a": math.nan, "b": "\ud800", "c": 10**30, "d": deep, "e": 1}})
    assert one.values["fan"] == {"a": None, "b": "\ufffd", "c": 1e30, "d": None, "e": 1}


def test_the_mirror_is_in_the_status_of_the_peers_section():
    network = Network("[router]\n[router led]\nmirror:\n  fan: speed\n  bed\n")
    network.led.objects = {"fan": {"speed": 0.5, "rpm": 7}, "bed": {"target": 60}}
    assert network.led.subscribed == {"fan": ["speed"], "bed": None}
    network.led.tick()
    status = network.router.peer_status("led").get_status(0.0)
    assert status["mirror"] == {"fan": {"speed": 0.5}, "bed": {"target": 60}}
    assert (status["connected"], status["ready"], status["state"]) == (True, True, "ready")


def test_each_mirrored_object_is_a_field_and_the_mirror_is_found_by_name():
    network = Network("[router]\n[router led]\nmirror:\n  fan: speed\n  state: x\n")
    network.led.objects = {"fan": {"speed": 0.5}, "state": {"x": 1}}
    network.led.tick()
    status = network.router.peer_status("led").get_status(0.0)
    # Klipper copies it for a macro
    for one in (status, copy.deepcopy(status)):
        # An object of the peer does not replace a field of the router
        assert one["fan"] == {"speed": 0.5} and one["state"] == "ready"
        assert one["mirror"] == one.get("mirror") == {"fan": {"speed": 0.5}, "state": {"x": 1}}
        assert one.get("mirror_time") is not None
        assert "mirror" in one and "fan" in one and "bed" not in one
        assert one.get("bed") is None and one.get("bed", 1) == 1
        with pytest.raises(KeyError, match="bed"):
            one["bed"]
        assert not {"mirror", "mirror_time"} & set(one.keys())
        assert json.loads(json.dumps(one)).keys() == one.keys()


def test_typos_in_the_config_are_reported_on_this_printers_console():
    config = "[router]\n[router led]\nmirror:\n  fan: sped\nsensors:\n  x: bedd\n"
    network = Network(config, is_ready=False)
    network.led.objects = {"fan": {"speed": 0.5}, "bed": {"temperature": 60}}
    network.led.connects()
    network.led.tick()
    network.reactor.run()
    assert network.led.hinted == [
        "Router: option 'mirror' in section 'router led': led has no field 'fan.sped': did you mean"
        " 'fan.speed'?",
        "Router: option 'sensors' in section 'router led': led has no object 'bedd': did you mean"
        " 'bed'?",
    ]
