"""socks-client.yaml as words. Every key may be left out.

listen: 127.0.0.1:1080             SOCKS5 and HTTP CONNECT on one port
allow_from: [192.168.1.0/24]       who may use it, where `listen` is not of loopback: then it must be given
choice: {servers: [exit-1], country: de, label: fast=1, by: first | fastest | random, policy: {hops_at_least: 2}}
credentials: /data/socks/me        one line of name:password, mode 0600, where the servers want one
limits: {per_client: 1000, …}      see `services.socks.limits`
handshake_s: 10                    server_s: 5, until a server answers     reply_s: 25, until its target does
idle_s: 7500                       half_closed_s: 600
udp: true                          node: …/node.sock
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from services.app.choice import Choice
from services.settings_file import load_settings
from services.socks.limits import Limits
from services.socks.policy import Rule

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reply_s` is longer than the server's own patience, so that it is the server who says what is wrong."""

    listen: str = "127.0.0.1:1080"
    allow_from: tuple[Rule, ...] = ()
    choice: Choice = Choice()
    credentials: Path | None = None
    limits: Limits = Limits(per_second=1000.0, burst=2000, per_client=5000)
    handshake_s: Seconds = 10.0
    server_s: Seconds = 5.0
    reply_s: Seconds = 25.0
    idle_s: Seconds = 7500.0
    half_closed_s: Seconds = 600.0
    udp: bool = True
    node: Path | None = None


def load_config(path: Path | None, defaults: Path | None) -> Config:
    """Without any file everything is as it usually is. Raises SettingsError."""
    return load_settings(Config, path, defaults)
