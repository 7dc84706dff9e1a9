"""The rows of the table, in its order, and what each of them is."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Dict

FLOOR = "floor"

LATENCY: Dict[str, str] = {
    FLOOR: "tight client's round trip to the peer",
    "wait": "host script with WAIT=1",
    "host_to_peer": "host macro to peer macro",
    "peer_to_host": "peer macro to host macro",
    "event": "event: peer to host to second peer",
    "daemon_host_to_peer": "daemon: host macro to peer macro",
    "daemon_peer_to_host": "daemon: peer macro to host macro",
    "http": "Moonraker's HTTP, connection kept: client to peer macro",
    "curl": "Moonraker's HTTP, a curl each: client to peer macro",
    "mqtt_client": "Moonraker's API over MQTT: client to peer macro",
    "mqtt": "MQTT between two Moonrakers: host macro to peer macro",
}
STATUS: Dict[str, str] = {
    "status_to_callback": "status of the host to a peer's callback",
    "status_to_mirror": "status of a peer to the host's mirror",
}
LOAD: Dict[str, str] = {
    "update": "CPU of the host a forwarded update, 4 peers",
    "update_64": "the same, 64 peers",
    "update_unwanted": "the same, 4 peers, 200 subscriptions to other things",
    "idle_1": "CPU of the host, idle, 1 peer",
    "idle_4": "the same, 4 peers",
    "idle_16": "the same, 16 peers",
    "idle_64": "the same, 64 peers",
    "memory": "memory of the host a peer",
    "stream": "CPU, 16 peers x 4 Hz x 20 fields forwarded",
    "late_before": "lateness of the reactor (and p99.9), 16 peers idle",
    "late": "the same while 16 peers stream 4 Hz x 20 fields",
    "devices": "CPU, 40 devices of a peer x 4 Hz, to a client",
    "devices_callback": "callbacks of the router meanwhile (and longest)",
    "devices_connect": "callbacks while the peer connects (and longest)",
}
ALL = {**LATENCY, **STATUS, **LOAD}
