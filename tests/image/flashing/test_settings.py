"""The text of skywire.yaml, and the forms of options."""

from pathlib import Path

import pytest
import yaml

from image.errors import FlashError
from image.flashing.boot_partition import keep_own
from image.flashing.checking import check_settings, node_id
from image.flashing.model import Address, Personal, Wifi, read_address
from image.flashing.settings import render
from image.recipe import HERE
from image.run import Runner

TEMPLATE = (HERE / "boot_files/skywire.yaml").read_text()
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGB0cGVybWl0dGVkLWtleS1mb3ItdGVzdHMtb25seTEy me@home"
INVITE = f"skywire:{'a' * 64}@192.0.2.1:7997/{'0' * 16}.{'b' * 22}"
ALL = Personal(
    name="attic", ssh_keys=(KEY,), time_zone="Europe/Berlin", invite=INVITE, role="member",
    wifi=Wifi('Zoë\'s "net" #1: *', 'pass "word" \\ # 1', "DE"),
    addresses=(Address("eth1", "192.0.2.5/24", "192.0.2.1", ("192.0.2.1", "2001:db8::1")),),
    identity=" ".join(["abandon"] * 23 + ["art"]),
)  # fmt: skip


def test_every_wish_is_in_the_file(run: Runner) -> None:
    text = render(TEMPLATE, ALL)
    assert text.startswith(TEMPLATE)
    assert yaml.safe_load(text) == {
        "name": "attic",
        "ssh_keys": [KEY],
        "time_zone": "Europe/Berlin",
        "wifi": {"ssid": 'Zoë\'s "net" #1: *', "password": 'pass "word" \\ # 1', "country": "DE"},
        "network": {"eth1": {"address": "192.0.2.5/24", "gateway": "192.0.2.1", "dns": ["192.0.2.1", "2001:db8::1"]}},
        "invite": INVITE,
        "role": "member",
        "identity": ALL.identity,
    }
    check_settings(run, text)


def test_no_wish_leaves_the_file_as_it_is() -> None:
    assert render(TEMPLATE, Personal()) == TEMPLATE
    assert render(render(TEMPLATE, ALL), Personal()) == TEMPLATE


def test_the_board_itself_judges(run: Runner, tmp_path: Path) -> None:
    with pytest.raises(FlashError, match=r"the board would refuse this: key 'wifi.password'"):
        check_settings(run, render(TEMPLATE, Personal(wifi=Wifi("x", "short"))))
    assert ALL.identity is not None
    assert len(node_id(run, ALL.identity)) == 64
    with pytest.raises(FlashError, match="the board would refuse this"):
        node_id(run, " ".join(["abandon"] * 24))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.5/24", Address("ethernet", "192.0.2.5/24")),
        ("wifi=192.0.2.5/24,192.0.2.1", Address("wifi", "192.0.2.5/24", "192.0.2.1", ("192.0.2.1",))),
        (
            "2001:db8::5/64,2001:db8::1,2001:db8::2",
            Address("ethernet", "2001:db8::5/64", "2001:db8::1", ("2001:db8::2",)),
        ),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize("text", ["192.0.2.5", "=192.0.2.5/24", "192.0.2.5/24,", ""])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(FlashError, match="is not"):
        read_address(text)


def test_own_settings_of_the_firmware_are_kept() -> None:
    new = b"a=2\n[all]\n"
    assert keep_own(new, None) == keep_own(new, b"a=1\n[all]\n") == keep_own(new, b"a=1\r\n[all]\r\n\r\n") == new
    assert keep_own(new, b"a=1\r\n[all]\r\ndtparam=spi=on\r\n") == b"a=2\n[all]\ndtparam=spi=on\n"
