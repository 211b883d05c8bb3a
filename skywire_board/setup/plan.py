"""From settings to files: which path holds what, with which mode and owner, and which files of before go. Pure.

A secret that was taken before is known by what it led to: a Wi-Fi key is in `State.keys`, an invitation lies where the
node reads it. Files that were written for keys that stand there no more are removed, unless somebody changed them.
"""

import hashlib
from dataclasses import dataclass

import msgspec

from skywire_board.setup.model import ZONES, Interface, Settings, Wifi, is_taken, listed
from skywire_board.setup.sources import Wanted
from skywire_board.setup.wifi import network_key, supplicant_text

NAMES_FOLDER = "/data/setup/etc"
KEYS_FOLDER = "/data/owner/authorized_keys.d"
NETWORK_FOLDER = "/etc/systemd/network"
SUPPLICANT = "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf"
JOINED = "/data/mesh/joined/node.yaml"
MANAGER = "/data/mesh/joined/manager.yaml"
BOARD = "/etc/skywire/board.yaml"
WRITTEN_BY = "# written from the boot partition by skywire-setup.service; changes here are lost when that changes\n"
MESH_OWNER = "skywire"
KINDS = {"ethernet": "Type=ether\nKind=!*", "wifi": "Type=wlan"}


class File(msgspec.Struct, frozen=True):
    """A file with its text, or a link with its target. `stays` when its key is taken out of the settings later."""

    path: str
    text: str
    mode: int = 0o644
    owner: str = "root"
    is_link: bool = False
    stays: bool = False

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. `identity` holds the 24 words when they are to be brought in."""

    files: tuple[File, ...] = ()
    removed: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    identity: str | None = None
    notes: tuple[str, ...] = ()


def plan(wanted: Wanted, known_keys: dict[str, str], written: dict[str, str]) -> Plan:
    """`known_keys`: Wi-Fi name → key taken before; `written`: path → digest of what was written before."""
    settings, notes = wanted.settings, list(wanted.notes)
    files = [*_names(settings), *_login_keys(settings, wanted.imager_keys), *_networks(settings), *_mesh(settings)]
    keys: dict[str, str] = {}
    if settings.wifi is not None:
        key, note = _wifi_key(settings.wifi, known_keys)
        if note:
            notes.append(note)
        else:
            files.append(File(SUPPLICANT, supplicant_text(settings.wifi, key), 0o600))
            keys |= {settings.wifi.ssid: key} if key else {}
    if wanted.board:
        files.append(File(BOARD, WRITTEN_BY + wanted.board))
    new = {file.path for file in files}
    fresh = settings.identity if settings.identity and not is_taken(settings.identity) else None
    return Plan(
        tuple(files), tuple(path for path in written if path not in new), tuple(keys.items()), fresh, tuple(notes)
    )


def _names(settings: Settings) -> list[File]:
    files = []
    if settings.name:
        name = settings.name.lower()
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost ip6-localhost ip6-loopback\n"
        files += [File(f"{NAMES_FOLDER}/hostname", f"{name}\n"), File(f"{NAMES_FOLDER}/hosts", hosts)]
    if settings.time_zone:
        files.append(File(f"{NAMES_FOLDER}/localtime", str(ZONES / settings.time_zone), is_link=True))
    return files


def _login_keys(settings: Settings, imager_keys: tuple[str, ...]) -> list[File]:
    given = {"setup": listed(settings.ssh_keys), "imager": list(imager_keys)}
    return [
        File(f"{KEYS_FOLDER}/{name}", "".join(f"{key.strip()}\n" for key in keys))
        for name, keys in given.items()
        if keys
    ]


def _networks(settings: Settings) -> list[File]:
    return [
        File(f"{NETWORK_FOLDER}/{60 if name in KINDS else 50}-setup-{name}.network", _network_text(name, interface))
        for name, interface in settings.network.items()
    ]


def _network_text(name: str, interface: Interface) -> str:
    """systemd.network(5)."""
    lines = [f"Address={text}" for text in listed(interface.address)]
    lines += [f"Gateway={text}" for text in listed(interface.gateway)]
    lines += [f"DNS={text}" for text in listed(interface.dns)]
    match = KINDS.get(name, f"Name={name}")
    head = f"{WRITTEN_BY}[Match]\n{match}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n"
    return head + "\n".join([*lines, "IPv6AcceptRA=yes", "LLMNR=no", "MulticastDNS=yes", ""])


def _mesh(settings: Settings) -> list[File]:
    files = []
    if settings.invite and not is_taken(settings.invite):
        text = f'managers: [{{invitation: "{settings.invite.strip()}"}}]\n'
        files.append(File(JOINED, text, 0o600, MESH_OWNER, stays=True))
    lines = [f"role: {settings.role}\n"] if settings.role else []
    if settings.admit:
        lines.append(f"join: {{allowed: [{', '.join(listed(settings.admit))}]}}\n")
    if lines:
        files.append(File(MANAGER, "".join(lines), 0o600, MESH_OWNER))
    return files


def _wifi_key(wifi: Wifi, known_keys: dict[str, str]) -> tuple[str | None, str]:
    """The key, and a note when there is none though one is needed."""
    if wifi.password is None:
        return None, ""
    if not is_taken(wifi.password):
        return network_key(wifi.ssid, wifi.password), ""
    if wifi.ssid in known_keys:
        return known_keys[wifi.ssid], ""
    text = f"Wi-Fi is left out: the board holds no password for '{wifi.ssid}' any more; write it into the file again"
    return None, text
