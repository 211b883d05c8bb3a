"""The checked-in list of what is open on a board: users, setuid files, services, listeners. Read by the tests of the
built image and by those of the running board.
"""

from pathlib import Path

import msgspec
import yaml


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of inventory.yaml, which says what each is."""

    units: list[str]
    daemons: list[str]
    shells: dict[str, str]
    members: dict[str, list[str]]
    setuid: list[str]
    world_writable: list[str]
    listeners: list[str]
    absent_settings: list[str]


LIST = Path(__file__).with_name("inventory.yaml")


def read_inventory() -> Inventory:
    return msgspec.convert(yaml.safe_load(LIST.read_text()), Inventory)
