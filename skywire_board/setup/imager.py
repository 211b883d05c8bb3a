"""Reads what Raspberry Pi Imager writes for `init_format: cloudinit`, into the words of skywire.yaml. No I/O.

Of cloud-init's many keys those are honoured that Imager's questions fill: host name, time zone, SSH keys, one Wi-Fi
network. A password for logging in is never honoured, and a note says so; other keys mean nothing to this board.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from skywire_board.errors import SetupError
from skywire_board.setup.document import Document
from skywire_board.setup.model import Settings

PASSWORDS = ("password", "passwd", "hashed_passwd", "plain_text_passwd")


class User(msgspec.Struct, frozen=True):
    name: str = ""
    passwd: str | None = None
    plain_text_passwd: str | None = None
    hashed_passwd: str | None = None
    ssh_authorized_keys: list[str] | None = None

    @property
    def has_password(self) -> bool:
        return any((self.passwd, self.plain_text_passwd, self.hashed_passwd))


class UserData(msgspec.Struct, frozen=True):
    """The keys of `user-data` that count."""

    hostname: str | None = None
    timezone: str | None = None
    users: list[User | str] | None = None
    ssh_authorized_keys: list[str] | None = None


class Auth(msgspec.Struct, frozen=True, rename="kebab"):
    key_management: str | None = None
    password: str | None = None


class AccessPoint(msgspec.Struct, frozen=True):
    password: str | None = None
    hidden: bool = False
    auth: Auth = Auth()


class Radio(msgspec.Struct, frozen=True, rename="kebab"):
    access_points: dict[str, AccessPoint | None] = {}
    regulatory_domain: str | None = None


class Netplan(msgspec.Struct, frozen=True):
    wifis: dict[str, Radio] = {}


def read_user_data(document: Document) -> tuple[Settings, list[str]]:
    """Settings and what a person should know of what was left out. SetupError names the line."""
    said = document.convert(UserData, (("users",),))
    keys, notes = list(said.ssh_authorized_keys or []), []
    for user in said.users or []:
        if isinstance(user, str):
            continue
        keys += user.ssh_authorized_keys or []
        name = user.name or "the user"
        if user.has_password:
            notes.append(f"the password of '{name}' is not used: this board lets in by SSH key only")
        if user.name not in ("", "admin", "viscript"):
            notes.append(f"there is no user '{name}' here: log in as viscript (the shell) or admin (Unix)")
    plain = {"name": said.hostname, "time_zone": said.timezone, "ssh_keys": [key.strip() for key in keys]}
    return _settings(document, plain), notes


def read_network(document: Document) -> tuple[Settings, list[str]]:
    """The first Wi-Fi network of a netplan file, which may stand below a key `network`."""
    plain = document.plain if isinstance(document.plain, dict) else {}
    try:
        netplan = msgspec.convert(plain.get("network") or plain, Netplan, strict=False)
    except msgspec.ValidationError as error:
        raise SetupError(f"{document.source}:1: {error}") from None
    for radio in netplan.wifis.values():
        for ssid, found in radio.access_points.items():
            point = found or AccessPoint()
            password = point.password or point.auth.password
            country = radio.regulatory_domain or None
            return _settings(document, {"wifi": _wifi(ssid, country, password, hidden=point.hidden)}), []
    return Settings(), []


def secret_nodes(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Every password of a cloud-init file, wherever it stands."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from secret_nodes(item)
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value in PASSWORDS and isinstance(value, yaml.ScalarNode) and value.value:
                yield value
            yield from secret_nodes(value)


def _wifi(ssid: str, country: str | None, password: str | None, *, hidden: bool) -> dict[str, Any]:
    return {"ssid": ssid, "country": country, "password": password, "hidden": hidden}


def _settings(document: Document, plain: dict[str, Any]) -> Settings:
    try:
        return msgspec.convert(plain, Settings)
    except msgspec.ValidationError as error:
        raise SetupError(f"{document.source}:1: {error}") from None
