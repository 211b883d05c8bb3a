"""vpn-client.yaml as words. Everything has a default: any server of the directory, and everything goes through it.

servers: [north, 31ab…]     node ids or names, in the order of preference     by: first | fastest | random
country: de                 of the server, as it says                         label: fast
policy: {hops_at_least: 2}  of the routes to it                               kill_switch: true
only: [198.51.100.0/24]     these go through the tunnel, the rest as ever     dns: tunnel | redirect | leave
exclude: [203.0.113.0/24]   these go past it; also past the kill switch       resolv_conf: /etc/resolv.conf
lan: false                  networks of one's own are reached past it         wires: [192.168.1.0/24]  as in node.yaml
reachable: [tcp/22]         answers of these ports may leave past it          ram: /run/skywire/vpn-client
gateways: [eth1]            neighbours there are served, too                  card: /data/mesh/vpn-client
node: /run/skywire/node.sock
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.app.choice import Choice
from services.errors import SettingsError, shown
from services.kernel.model import IpNetwork
from services.manager.errors import ManagerError
from services.manager.routes.policy import Policy
from services.node.places import ROOT_RUN, usual_socket
from services.setting_words import Network, ProtocolPort
from services.settings_file import load_settings
from services.vpn import places
from services.vpn.kill_switch.rules import Exceptions

PROGRAM = "vpn-client"
MOST_NETWORKS = 4096
IMAGE_DEFAULTS = Path("/usr/lib/skywire/vpn-client.yaml")
"""What a board's image says, also to a command by hand that names no file."""

LAN = tuple(
    map(
        ip_network,
        (
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "224.0.0.0/24",
            "239.255.255.250/32",
            "fc00::/7",
            "fe80::/10",
            "ff02::/16",
        ),
    )
)
"""What is of one's own network, by its address: private, link-local, and the groups of its own link."""

_DEVICE = re.compile(r"[A-Za-z0-9_.@-]{1,15}")


class Interface(str):
    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> Interface:
        if not _DEVICE.fullmatch(text) or text == "lo" or text.startswith("sky"):
            raise ValueError("expected the name of an interface to neighbours, such as eth1")
        return cls(text)


Networks = Annotated[tuple[Network, ...], msgspec.Meta(max_length=MOST_NETWORKS)]


def usual_ram() -> Path:
    """The one that root's client, or the board's, has: also for whoever asks it."""
    shared = ROOT_RUN / PROGRAM
    return shared if shared.is_dir() else places.usual_ram(PROGRAM)


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    servers: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] = ()
    country: str = ""
    label: str = ""
    by: Literal["first", "fastest", "random"] = "first"
    policy: Policy = Policy()
    only: Networks = ()
    exclude: Networks = ()
    lan: bool = False
    wires: Networks = ()
    reachable: Annotated[tuple[ProtocolPort, ...], msgspec.Meta(max_length=64)] = ()
    gateways: Annotated[tuple[Interface, ...], msgspec.Meta(max_length=16)] = ()
    kill_switch: bool = True
    dns: Literal["tunnel", "redirect", "leave"] = "tunnel"
    resolv_conf: Path = Path("/etc/resolv.conf")
    ram: Path = msgspec.field(default_factory=usual_ram)
    card: Path = msgspec.field(default_factory=lambda: places.usual_card(PROGRAM))
    node: Path = msgspec.field(default_factory=usual_socket)

    def __post_init__(self) -> None:
        if self.only and self.exclude:
            raise ValueError("'only' and 'exclude' say opposite things: leave one of them out")
        self.choice  # noqa: B018 (a wrong country is told here)

    @property
    def choice(self) -> Choice:
        return Choice(self.servers, self.country, self.label, self.by, self.policy)

    @property
    def socket(self) -> Path:
        return self.ram / "vpn-client.sock"

    @property
    def only_networks(self) -> tuple[IpNetwork, ...]:
        return tuple(map(ip_network, self.only))

    @property
    def excluded_networks(self) -> tuple[IpNetwork, ...]:
        return tuple(map(ip_network, self.exclude))

    @property
    def exceptions(self) -> Exceptions:
        """What the kill switch is told."""
        return Exceptions(
            open_networks=(*self.excluded_networks, *(LAN if self.lan else ())),
            wires=tuple(map(ip_network, self.wires)),
            gateways=tuple(map(str, self.gateways)),
            reachable=tuple(port.split_port() for port in self.reachable),
            held=self.only_networks,
            holds_dns=self.dns != "leave",
        )


def load_config(path: Path | None, defaults: Path | None = None) -> Config:
    """What the files say: `defaults`, or the image's; over it the one that was named, else the usual one. Raises
    SettingsError.
    """
    if defaults is None and IMAGE_DEFAULTS.exists():
        defaults = IMAGE_DEFAULTS
    usual = places.usual_config(PROGRAM)
    try:
        return load_settings(Config, path, defaults, usual)
    except ManagerError as error:
        raise SettingsError(f"{shown(str(path or usual))}: policy: {error}") from None
