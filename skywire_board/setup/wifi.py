"""The Wi-Fi network as wpa_supplicant's file. Pure.

The pass phrase itself is not kept: WPA's key of it is (PBKDF2 with SHA-1, 4096 rounds, salted with the network's name;
IEEE 802.11-2020, J.4), which opens this network alone. A network that speaks WPA3 only would need the phrase.
"""

import hashlib

from skywire_board.setup.model import HEX_KEY, Wifi


def network_key(ssid: str, password: str) -> str:
    """64 hex digits; a password that is such a key already stays as it is."""
    if HEX_KEY.fullmatch(password):
        return password.lower()
    return hashlib.pbkdf2_hmac("sha1", password.encode(), ssid.encode(), 4096, 32).hex()


def supplicant_text(wifi: Wifi, key: str | None) -> str:
    """wpa_supplicant.conf(5); the name in hex, so that no character in it means anything."""
    lines = ["# written from the boot partition by skywire-setup.service; changes here are lost when that changes"]
    if wifi.country:
        lines.append(f"country={wifi.country.upper()}")
    lines += ["network={", f"\tssid={wifi.ssid.encode().hex()}"]
    if wifi.hidden:
        lines.append("\tscan_ssid=1")
    if key is None:
        lines.append("\tkey_mgmt=NONE")
    else:
        lines += ["\tkey_mgmt=WPA-PSK WPA-PSK-SHA256", "\tieee80211w=1", f"\tpsk={key}"]
    return "\n".join([*lines, "}", ""])
