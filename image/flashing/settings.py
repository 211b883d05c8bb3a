"""The text of a card's skywire.yaml: the commented file that every card carries, with the wishes below. Pure."""

import json

from image.flashing.model import Address, Personal, Wifi

HEAD = "\n# Set by image/flash:\n"


def render(template: str, personal: Personal) -> str:
    """Texts are quoted as JSON does it, which is YAML as well."""
    lines = [f"{key}: {_quoted(value)}" for key, value in _simple(personal).items() if value]
    if personal.ssh_keys:
        lines += ["ssh_keys:", *(f"  - {_quoted(key)}" for key in personal.ssh_keys)]
    if personal.admit:
        lines += ["admit:", *(f"  - {node_id}" for node_id in personal.admit)]
    if personal.wifi:
        lines += _wifi(personal.wifi)
    if personal.addresses:
        lines += ["network:", *(line for address in personal.addresses for line in _address(address))]
    base = template.replace("\r\n", "\n").split(HEAD)[0].rstrip("\n")
    return f"{base}\n" + (HEAD + "\n".join(lines) + "\n" if lines else "")


def _simple(personal: Personal) -> dict[str, str | None]:
    return {
        "name": personal.name, "time_zone": personal.time_zone, "invite": personal.invite, "role": personal.role,
        "identity": personal.identity,
    }  # fmt: skip


def _wifi(wifi: Wifi) -> list[str]:
    rows = {"country": wifi.country, "ssid": wifi.ssid, "password": wifi.password}
    return ["wifi:", *(f"  {key}: {_quoted(value)}" for key, value in rows.items() if value)]


def _address(address: Address) -> list[str]:
    lines = [f"  {address.interface}:", f"    address: {_quoted(address.address)}"]
    if address.gateway:
        lines.append(f"    gateway: {_quoted(address.gateway)}")
    if address.dns:
        lines.append(f"    dns: {json.dumps(list(address.dns))}")
    return lines


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
