"""A client's life as a program, and the commands that look at it or end it from outside."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from services.app.program import serve
from services.vpn.client.api import Api, ask
from services.vpn.client.api_words import GetStatus, Off, Phase, PortalState, Status
from services.vpn.client.client import Client
from services.vpn.client.config import Config
from services.vpn.client.machine import Machine, take_down
from services.vpn.kill_switch import door
from viscript.notify import notify
from viscript.signal import SignalClient


async def run(config: Config) -> None:
    """Raises VpnError, KernelError. The kernel is asked one thing at a time, by one thread."""

    async def work(signal: SignalClient) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, "kernel"))

        def tell(sentence: str) -> None:
            signal.status = sentence

        client = Client(config, Machine(config), tell)
        api = Api(config.socket, client.status, client.off)
        await api.start()
        try:
            await client.run(lambda: notify("READY=1"))
        finally:
            await api.close()

    await serve(work)


def look(config: Config) -> Status:
    """Also where no client runs. Raises AskError, DoorError."""
    found = ask(config.socket, GetStatus())
    if isinstance(found, Status):
        return found
    switch = door.read()
    held = "the kill switch is on, nothing leaves this machine (run: meshnet-vpn-client off)"
    return Status(
        Phase.STOPPED,
        f"no client runs; {held if switch.is_on else 'the kill switch is off'}",
        switch.is_on,
        switch.blocked,
        tuple(PortalState(portal.gid, portal.left_s) for portal in switch.portals),
    )


def switch_off(config: Config) -> str:
    """What was done, as a sentence. Raises AskError, DoorError."""
    if ask(config.socket, Off()) is not None:
        return "off: the client has ended, and the kill switch with it"
    was_on = asyncio.run(take_down(config))
    return "off: the kill switch is down" if was_on else "off: there was no kill switch"
