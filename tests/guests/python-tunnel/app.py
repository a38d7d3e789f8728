"""A tunnel for a public address that exists already, in Python, made from the contract (`plugin-api/wit`) alone."""

# Modules are read while the component is built: one that the library would import later, as this for host names, is not there.
import encodings.idna  # noqa: F401
import json
import os
import random
import socket

import componentize_py_async_support
from componentize_py_types import Err, Ok
from wit_world import (
    exports,
    result_unit_types_failure_future,
    tunnel_event_stream,
)
from wit_world.exports.tunnel import (
    Address,
    Descriptor,
    Encryption,
    Event_Addresses,
    Event_Ready,
    Liveness,
    UrlKind,
)
from wit_world.imports import config, log
from wit_world.imports.types import Availability_Ready, Failure, FailureKind, Fit


def tried(what, attempt):
    """Logs what became of an attempt: the error that Python makes of a denial, or that it worked."""
    try:
        attempt()
    except OSError as error:
        log.write(log.Level.INFO, f"{what}: {type(error).__name__}: {error}")
    else:
        log.write(log.Level.ERROR, f"{what}: it worked")


def outside(port):
    """Tries what a plugin has no way to: `port` is one where somebody listens."""
    tried("connect", lambda: socket.create_connection(("127.0.0.1", port), timeout=5))
    tried("listen", lambda: socket.create_server(("127.0.0.1", 0)))
    tried("resolve", lambda: socket.getaddrinfo("localhost", port))
    tried("read", lambda: open("/etc/passwd"))
    tried("write", lambda: open("/tmp/python-tunnel", "w"))
    tried("list", lambda: os.listdir("/"))
    log.write(log.Level.INFO, f"environment: {len(os.environ)} variables")


class Tunnel(exports.Tunnel):
    async def describe(self):
        return Descriptor(
            title="Python",
            url=UrlKind.STABLE,
            encryption=Encryption.NONE,
            liveness=Liveness.REPORTED,
            event_streams=True,
            client_address_header=None,
            public_name_header=None,
            refused=[],
        )

    async def check_availability(self):
        return Availability_Ready(Fit(version="0.1.0", note=None))

    async def run(self, origin, cancel):
        settings = json.loads(config.get())
        if settings["attempt"] == "raise":
            raise ValueError("this tunnel is meant to fail")
        events, to_host = tunnel_event_stream()
        outcome, ended = result_unit_types_failure_future(
            lambda: Err(Failure(FailureKind.RETRY, "The tunnel ended by itself.", None))
        )
        work = self.keep_open(origin, settings, cancel, events, outcome)
        componentize_py_async_support.spawn(work)
        return to_host, ended

    async def keep_open(self, origin, settings, cancel, events, outcome):
        # The seed is the machine's, at each start another one.
        log.write(log.Level.INFO, f"random: {random.getrandbits(64)} {os.urandom(8).hex()}")
        if settings["attempt"] == "outside":
            outside(origin.port)
        url = settings["url"] or f"http://{origin.host}:{origin.port}"
        with events:
            await events.write_all([Event_Addresses([Address(url=url, private=False)]), Event_Ready(1)])
            reason = await cancel.read()
        log.write(log.Level.INFO, f"closed: {reason.name}")
        await outcome.write(Ok(None))
