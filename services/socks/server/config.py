"""socks-server.yaml as words. Every key may be left out.

port: 1080                         labels: [country=de]      what clients choose by
open_to: []                        node ids and `cluster:<manager id>`; anyone of the mesh, if empty
users: /data/socks/users           lines of name:password, mode 0600; nobody is asked, if left out
allow: ["192.168.1.7:80"]          besides the Internet; before `deny`
deny: ["*:25"]                     networks with ports, out of the Internet
limits: {per_client: 1000, …}      see `services.socks.limits`
handshake_s: 10                    connect_s: 15            idle_s: 7500      half_closed_s: 600
udp: true                          node: …/node.sock
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from services.settings_file import load_settings
from services.socks.limits import Limits
from services.socks.policy import Rule

SERVICE, UDP_SERVICE = "socks", "socks-udp"
PIPELINED = "socks=pipelined"
"""A label: this server reads a handshake that is said all at once."""

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`idle_s` is longer than the two hours and four minutes for which RFC 5382 wants an idle connection kept."""

    port: Port = 1080
    labels: tuple[str, ...] = ()
    open_to: tuple[str, ...] = ()
    users: Path | None = None
    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    handshake_s: Seconds = 10.0
    connect_s: Seconds = 15.0
    idle_s: Seconds = 7500.0
    half_closed_s: Seconds = 600.0
    udp: bool = True
    node: Path | None = None


def load_config(path: Path | None, defaults: Path | None) -> Config:
    """Without any file everything is as it usually is. Raises SettingsError."""
    return load_settings(Config, path, defaults)
