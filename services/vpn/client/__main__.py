"""`meshnet-vpn-client run` sends this machine's packets out by a server of the mesh; `status`, `off`, `kill-switch` and
`portal` look after it. What each command needs is imported in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from services.app.commands import DEFAULTS, JSON, Commands, log_to_stderr

if TYPE_CHECKING:
    from services.vpn.client.api_words import Status
    from services.vpn.kill_switch.door import KillSwitch

CONFIG = click.option(
    "--config", type=click.Path(path_type=Path), envvar="VPN_CLIENT_CONFIG", help="vpn-client.yaml (VPN_CLIENT_CONFIG)."
)


class VpnClientCommands(Commands):
    program = "meshnet-vpn-client"

    def expected(self) -> tuple[type[Exception], ...]:
        from services.errors import SettingsError
        from services.kernel.errors import KernelError
        from services.node.errors import NodeError
        from services.vpn.errors import VpnError
        from viscript.signal.errors import SignalError

        return (SettingsError, VpnError, KernelError, NodeError, SignalError)


@click.group(cls=VpnClientCommands)
def main() -> None:
    """Send what leaves this machine out by a VPN server of the mesh.

    \b
    meshnet-vpn-client run
    meshnet-vpn-client status
    meshnet-vpn-client off
    """


@main.command()
@CONFIG
@DEFAULTS
def run(config: Path | None, defaults: Path | None) -> None:
    """Be the client, until it is told to end. The kill switch stays on then; `off` ends that too.

    It needs root, or CAP_NET_ADMIN, and a node.

    \b
    meshnet-vpn-client run
    meshnet-vpn-client run --config vpn-client.yaml
    """
    import asyncio

    from services.vpn.client.config import load_config
    from services.vpn.client.run import run

    log_to_stderr()
    asyncio.run(run(load_config(config, defaults)))


@main.command()
@CONFIG
@DEFAULTS
@JSON
def status(config: Path | None, defaults: Path | None, as_json: bool) -> None:
    """How it is: which server, which addresses, and whether the kill switch is on. It ends with 1 without a tunnel.

    \b
    meshnet-vpn-client status
    meshnet-vpn-client status --json
    """
    import msgspec

    from services.vpn.client.api_words import Phase
    from services.vpn.client.config import load_config
    from services.vpn.client.run import look

    found = look(load_config(config, defaults))
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        _show(found)
    if found.phase is not Phase.UP:
        sys.exit(1)


@main.command()
@CONFIG
@DEFAULTS
def off(config: Path | None, defaults: Path | None) -> None:
    """Take everything down, the kill switch last: packets go as if there were no VPN.

    It also clears up after a client that was killed.

    \b
    meshnet-vpn-client off
    """
    from services.vpn.client.config import load_config
    from services.vpn.client.run import switch_off

    print(switch_off(load_config(config, defaults)))


@main.command("kill-switch")
@click.argument("what", type=click.Choice(["on", "off", "status", "restore"]))
@CONFIG
@DEFAULTS
@JSON
def kill_switch(what: str, config: Path | None, defaults: Path | None, as_json: bool) -> None:
    """Let nothing but the mesh out of this machine, with or without a client.

    It is kept for the next boot, when `restore` loads it. `off` while a client runs lasts a few seconds: the client
    puts it on again. To end both: meshnet-vpn-client off.

    \b
    meshnet-vpn-client kill-switch on
    meshnet-vpn-client kill-switch status --json
    """
    import msgspec

    from services.vpn.client import machine
    from services.vpn.client.config import load_config
    from services.vpn.kill_switch import door

    found = load_config(config, defaults)
    steps = {"on": machine.close, "off": machine.open_up, "restore": machine.restore}
    if what in steps:
        steps[what](found)
    state = door.read()
    if as_json:
        print(msgspec.json.encode(state).decode())
    else:
        print(_told_switch(state))
    if what == "status" and not state.is_on:
        sys.exit(1)


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--for", "for_", default="5m", help="How long at most, such as 90s or 5m.", show_default=True)
@click.option("--user", default=None, help="As whom it runs; who called sudo, else oneself.")
@CONFIG
@DEFAULTS
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def portal(for_: str, user: str | None, config: Path | None, defaults: Path | None, command: tuple[str, ...]) -> None:
    """Run one program that alone may pass the kill switch, such as a browser for a hotel's log-in page.

    \b
    sudo meshnet-vpn-client portal -- firefox http://neverssl.com
    sudo meshnet-vpn-client portal --for 90s -- curl http://192.168.1.1/
    """
    import asyncio
    import contextlib

    from services.vpn.client.config import load_config
    from services.vpn.client.portal import pass_through, usual_user

    for_s = _seconds(for_)
    found = load_config(config, defaults)
    told = usual_user() if user is None else user
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(pass_through(command, for_s, told, found.resolv_conf)))


def _seconds(text: str) -> int:
    number, unit = (text[:-1], text[-1:]) if not text.isdecimal() else (text, "s")
    if not number.isdecimal() or unit not in {"s", "m", "h"} or not 1 <= int(number) <= 3600:
        raise click.BadParameter(f"'{text}' is no time: say 90s, 5m or 1h", param_hint="--for")
    return int(number) * {"s": 1, "m": 60, "h": 3600}[unit]


def _show(found: Status) -> None:
    rows = {
        "state": found.summary,
        "server": found.server,
        "addresses": ", ".join(filter(None, (found.ipv4, found.ipv6))),
        "resolvers": ", ".join(found.dns),
        "mtu": str(found.mtu or ""),
        "kill switch": ("on" if found.kill_switch else "OFF") + f", {found.blocked} packets refused",
        "portals": ", ".join(f"one more for {portal.left_s} s" for portal in found.portals),
        "trouble": found.trouble,
    }
    for name, value in rows.items():
        if value:
            print(f"{name:<13}{value}")


def _told_switch(state: KillSwitch) -> str:
    if not state.is_on:
        return "the kill switch is off"
    portals = "".join(f"; a portal is open for {portal.left_s} s more" for portal in state.portals)
    return f"the kill switch is on: {state.blocked} packets refused{portals}"


if __name__ == "__main__":
    main(prog_name="meshnet-vpn-client")
