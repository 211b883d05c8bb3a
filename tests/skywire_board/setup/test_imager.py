"""Raspberry Pi Imager's files, in the shape that its generator gives them (customization_generator.cpp of 2.0)."""

import pytest

from skywire_board.errors import SetupError
from skywire_board.setup.model import Wifi
from skywire_board.setup.wifi import network_key, supplicant_text
from tests.skywire_board.setup.scene import KEY, Scene

CRYPTED = "$5$kPp2nUOQ9b$Zt0sY2l5eJmFJw6w1Zxv0x5sUOQ1b9h1lZ0n1m2p3q4"
HEX = "b4" * 32
USER_DATA = f"""#cloud-config
hostname: den
manage_etc_hosts: true
packages:
- avahi-daemon
apt:
  conf: |
    Acquire {{
      Check-Date "false";
    }};
timezone: Europe/Oslo
keyboard:
  model: pc105
  layout: "no"
enable_ssh: true
users:
- name: ola
  groups: users,adm,sudo
  shell: /bin/bash
  lock_passwd: false
  passwd: {CRYPTED}
  ssh_authorized_keys:
    - {KEY}
  sudo: ALL=(ALL) NOPASSWD:ALL
ssh_pwauth: true
"""
NETWORK = f"""network:
  version: 2
  wifis:
    wlan0:
      dhcp4: true
      regulatory-domain: "NO"
      access-points:
        "Ola's \\"net\\"":
          hidden: true
          password: "{HEX}"
      optional: true
"""


def test_what_imager_asked_is_honoured(scene: Scene) -> None:
    scene.write("# only comments, as shipped\n")
    scene.write(USER_DATA, "user-data")
    scene.write(NETWORK, "network-config")
    notes = scene.apply()
    assert scene.text("run/skywire/etc/hostname") == "den\n"
    assert str((scene.root / "run/skywire/etc/localtime").readlink()).endswith("Europe/Oslo")
    assert scene.text("data/owner/authorized_keys.d/imager") == f"{KEY}\n"
    wifi = scene.text("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")
    for line in ("country=NO", "scan_ssid=1", f"psk={HEX}"):
        assert line in wifi
    assert b'Ola\'s "net"'.hex() in wifi
    assert any("the password of 'ola' is not used" in note for note in notes)
    assert any("there is no user 'ola' here: log in as viscript" in note for note in notes)
    assert "the password of 'ola' is not used" in scene.report


def test_its_secrets_are_taken_too(scene: Scene) -> None:
    scene.write(USER_DATA, "user-data")
    scene.write(NETWORK, "network-config")
    scene.apply()
    card = scene.fat.path.read_bytes()
    assert HEX.encode() not in card
    assert CRYPTED.encode() not in card
    assert KEY.encode() in card
    scene.fat.check()
    wifi = scene.text("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")
    scene.write("name: attic\n")  # the owner's file goes before Imager's, and what was taken is still known
    scene.apply()
    assert scene.text("run/skywire/etc/hostname") == "attic\n"
    assert scene.text("etc/wpa_supplicant/wpa_supplicant-wlan0.conf") == wifi


def test_later_forms_of_netplan_are_read(scene: Scene) -> None:
    scene.write(
        f"version: 2\nwifis:\n  wlan0:\n    access-points:\n      net:\n"
        f"        auth: {{key-management: psk, password: {HEX}}}\n",
        "network-config",
    )
    scene.apply()
    assert f"psk={HEX}" in scene.text("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")
    assert HEX.encode() not in scene.fat.path.read_bytes()


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("user-data", "hostname: a_b\n", "user-data:1: 'name' must be"),
        (
            "user-data",
            "users:\n- name: x\n  ssh_authorized_keys: x\n",
            "user-data:3: key 'users.0.ssh_authorized_keys'",
        ),
        ("network-config", "network: {wifis: {wlan0: {access-points: [x]}}}\n", "network-config:1: "),
        ("user-data", "timezone: Mars\n", "user-data:1: 'time_zone' must be"),
    ],
)
def test_what_it_cannot_have_written_is_refused(scene: Scene, name: str, text: str, says: str) -> None:
    scene.write(text, name)
    with pytest.raises(SetupError) as told:
        scene.apply()
    assert str(told.value).startswith(says)


def test_a_password_in_the_wrong_place_is_not_told(scene: Scene) -> None:
    for text in ("users: hunter22\n", "users:\n- {name: x, ssh_authorized_keys: hunter22}\n"):
        scene.write(f"#cloud-config\n{text}", "user-data")
        with pytest.raises(SetupError, match="key 'users") as told:
            scene.apply()
        assert "hunter22" not in str(told.value) + scene.report


def test_the_key_is_that_of_the_standard() -> None:
    # IEEE 802.11-2020, J.4.2
    assert network_key("IEEE", "password") == "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    assert network_key("x", HEX.upper()) == HEX
    assert "key_mgmt=NONE" in supplicant_text(Wifi("café"), None)
    assert f"ssid={'café'.encode().hex()}" in supplicant_text(Wifi("café"), None)
