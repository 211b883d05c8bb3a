"""Set-up on a real FAT and a folder as root: whole or not at all, secrets taken, a cut at every step made good."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.identity.settle import settle
from services.secrecy import Secret
from services.words import to_words
from skywire_board.errors import SetupError
from skywire_board.setup.card import Card
from tests.skywire_board.setup.fat_image import START
from tests.skywire_board.setup.scene import INVITE, KEY, SEED, WHOLE, WORDS, Scene

SEED_OF_MINE = bytes(range(32))


def test_all_of_it_is_applied(scene: Scene) -> None:
    scene.write(WHOLE)
    assert scene.apply() == []
    assert scene.text("run/skywire/etc/hostname") == scene.text("data/setup/etc/hostname") == "attic\n"
    assert scene.text("proc/sys/kernel/hostname") == "attic"
    assert "127.0.1.1 attic\n" in scene.text("run/skywire/etc/hosts")
    zone = scene.root / "run/skywire/etc/localtime"
    assert str(zone.readlink()) == "/usr/share/zoneinfo/Europe/Berlin"
    assert scene.text("data/owner/authorized_keys.d/setup") == f"{KEY}\n"
    network = scene.text("etc/systemd/network/60-setup-ethernet.network")
    for line in ("Type=ether", "Address=192.0.2.5/24", "Gateway=192.0.2.1", "DNS=192.0.2.1", "DNS=2001:db8::1"):
        assert f"\n{line}\n" in network
    assert scene.text("data/mesh/joined/manager.yaml") == f"role: member\njoin: {{allowed: [{'ab' * 32}]}}\n"
    assert scene.text("etc/skywire/board.yaml").endswith("gpio: {status_led: 5}\nonboard_led: [PWR]\nwatchdog: false\n")
    assert scene.restarts == 1
    wifi = scene.root / "etc/wpa_supplicant/wpa_supplicant-wlan0.conf"
    assert "country=DE" in wifi.read_text()
    assert wifi.stat().st_mode & 0o777 == 0o600
    assert scene.report == ""


def test_secrets_leave_the_card_and_stay_on_the_board(scene: Scene) -> None:
    scene.write(WHOLE + f"invite: {INVITE}\nidentity: {WORDS}\n")
    before = scene.fat.path.read_bytes()
    scene.apply()
    after = scene.fat.path.read_bytes()
    for secret in (b"correct horse", INVITE.encode(), b"abandon", b"art"):
        assert secret in before or secret == b"art"
        assert secret not in after or secret == b"art"
    assert "password: _____________\n" in scene.fat.get("skywire.yaml").decode()
    scene.fat.check()
    assert (scene.root / "data/identity/seed").read_bytes() == SEED
    assert INVITE in scene.text("data/mesh/joined/node.yaml")
    kept = {
        path: scene.text(path) for path in ("etc/wpa_supplicant/wpa_supplicant-wlan0.conf", "data/setup/applied.json")
    }
    assert scene.apply() == []  # the next boot, though mount-data would not even start it
    assert {path: scene.text(path) for path in kept} == kept
    scene.write(scene.fat.get("skywire.yaml").decode().replace("name: Attic", "name: cellar"))
    assert scene.apply() == []
    assert scene.text("run/skywire/etc/hostname") == "cellar\n"
    assert (
        scene.text("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")
        == kept["etc/wpa_supplicant/wpa_supplicant-wlan0.conf"]
    )
    assert INVITE in scene.text("data/mesh/joined/node.yaml")


def test_the_sums_are_those_that_mount_data_takes(scene: Scene) -> None:
    scene.write(WHOLE)
    scene.apply()
    said = subprocess.run(["sha256sum", "skywire.yaml"], cwd=scene.fat.folder, capture_output=True, check=True).stdout
    assert scene.text("data/setup/applied.sums").encode() == said


def test_a_wrong_file_changes_nothing(scene: Scene) -> None:
    scene.write(WHOLE)
    scene.apply()
    (scene.root / "data/identity/seed").write_bytes(SEED)
    before = sorted((path, path.read_bytes()) for path in scene.root.rglob("*") if path.is_file())
    scene.write(WHOLE.replace("Europe/Berlin", "Europe/Berlim"))
    for _ in range(2):
        with pytest.raises(SetupError):
            scene.apply()
    assert scene.report.startswith("skywire.yaml:3: key 'time_zone': must be a name of the tz database")
    assert scene.text("run/skywire/setup-fault").startswith("skywire.yaml:3: key 'time_zone'")
    (scene.root / "run/skywire/setup-fault").unlink()
    assert sorted((path, path.read_bytes()) for path in scene.root.rglob("*") if path.is_file()) == before
    assert "correct horse" in scene.fat.get("skywire.yaml").decode()
    scene.write(WHOLE)
    scene.apply()
    assert scene.report == ""
    assert not scene.has("run/skywire/setup-fault")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# one\n\ngpio:\n  status_led: x\n", "skywire.yaml:4: gpio.status_led is 'x', expected a line number"),
        ("name: a\nonboard_led: PWR\n", "skywire.yaml:2: onboard_led"),
        ("network:\n  eth0:\n    address: 192.0.2.5\n", "skywire.yaml:3: key 'network.eth0.address': needs its prefix"),
        ("network: {eth0: {address: 192.0.2.500/24}}\n", "skywire.yaml:1: key 'network.eth0': '192.0.2.500/24' does"),
        (
            "network:\n  eth0:\n    address: 192.0.2.5/24\n    gateway: 192.0.3.1\n",
            "skywire.yaml:4: key 'network.eth0.gateway': must lie in the network of 'address' (192.0.2.0/24)",
        ),
        (
            "network:\n  eth0: {address: ['2001:db8::5/64'], gateway: [192.0.2.1]}\n",
            "skywire.yaml:2: key 'network.eth0.gateway': must lie in the network of 'address' (an IPv4",
        ),
        (
            "network:\n  eth0: {address: [192.0.2.5/24, '2001:db8::5/64'], gateway: [192.0.2.1, '2001:db8:1::1']}\n",
            "skywire.yaml:2: key 'network.eth0.gateway': must lie in the network of 'address' (2001:db8::/64)",
        ),
        ("network:\n  eth0:\n    gate: 192.0.2.5\n", "skywire.yaml:3: key 'network.eth0.gate': nobody knows"),
        (f"identity: {' '.join(['abandon'] * 24)}\n", "key 'identity': "),
        ('ssh_keys: "ssh-ed25519 ' + "A" * 68 + ' \\ud800"\n', "skywire.yaml:1: '\\ud800' is half a character"),
        ("invite: &a [x]\n", "skywire.yaml:1: key 'invite': expected text, got"),
        ("wifi:\n  password: &a hunter22\n  ssid: *a\n", "skywire.yaml:3: not YAML: found undefined alias 'a' (once"),
    ],
)
def test_what_only_the_board_can_know_is_told_too(scene: Scene, text: str, says: str) -> None:
    scene.write(text)
    with pytest.raises(SetupError) as told:
        scene.apply()
    assert str(told.value).startswith(says)
    assert scene.report.startswith(says)
    assert not scene.has("data/identity/seed")


@pytest.mark.parametrize(
    ("address", "gateway"),
    [
        ("192.0.2.5/24", "192.0.2.1"),
        ("[192.0.2.5/24, 198.51.100.5/25]", "198.51.100.1"),
        ("192.0.2.5/24", "[192.0.2.1, 'fe80::1', '2001:db8::1']"),
        ("['2001:db8::5/64']", "2001:db8::1"),
    ],
)
def test_a_gateway_beside_the_address_is_taken(scene: Scene, address: str, gateway: str) -> None:
    scene.write(f"network:\n  eth0: {{address: {address}, gateway: {gateway}}}\n")
    assert scene.apply() == []
    assert "\nGateway=" in scene.text("etc/systemd/network/50-setup-eth0.network")


def test_another_identity_is_not_overwritten(scene: Scene) -> None:
    (scene.root / "data/identity/seed").write_bytes(b"x" * 32)
    scene.write(f"identity: {WORDS}\n")
    with pytest.raises(SetupError, match="this board has another identity"):
        scene.apply()
    assert (scene.root / "data/identity/seed").read_bytes() == b"x" * 32
    assert [path.name for path in (scene.root / "data/identity").iterdir()] == ["seed"]
    (scene.root / "data/identity/seed").write_bytes(SEED)
    scene.apply()
    assert "abandon" not in scene.fat.get("skywire.yaml").decode()


def test_words_that_are_mended_replace_what_the_board_made_meanwhile(scene: Scene) -> None:
    """The first boot with a wrong word, as a person restores; then the mended file, and the unit after set-up."""
    folder, mesh, made = scene.root / "data/identity", scene.root / "data/mesh", b"x" * 32
    right = " ".join(to_words(Secret(SEED_OF_MINE)))
    scene.write(f"identity: {right[:-1]}zz\n")
    for _ in range(2):
        with pytest.raises(SetupError, match="word 24"):
            scene.apply()
        (folder / "seed").write_bytes(made)  # skywire-identity.service
    scene.write(f"identity: {right}\n")
    for steps in range(1, 20):
        if not cut_after(scene, steps):
            break
        scene.fat.remount()
    assert 3 < steps < 15
    assert (folder / "seed").read_bytes() == made, "both wait for the unit that changes them over"
    assert sorted(path.name for path in folder.iterdir()) == ["next", "seed"]
    assert right.split()[0] not in scene.fat.get("skywire.yaml").decode()
    mesh.mkdir()
    settle(folder, mesh)
    assert (folder / "seed").read_bytes() == SEED_OF_MINE
    assert [path.read_bytes() for path in folder.glob("before-*")] == [made]
    scene.write(f"identity: {WORDS}\n")
    with pytest.raises(SetupError, match="this board has another identity"):
        scene.apply()


def test_a_file_that_was_right_keeps_the_identity_that_the_board_made(scene: Scene) -> None:
    folder = scene.root / "data/identity"
    scene.write("name: -x\n")
    with pytest.raises(SetupError):
        scene.apply()
    (folder / "seed").write_bytes(b"x" * 32)
    scene.write("name: x\n")
    scene.apply()
    scene.write(f"name: x\nidentity: {WORDS}\n")
    with pytest.raises(SetupError, match="this board has another identity"):
        scene.apply()
    assert [path.name for path in folder.iterdir()] == ["seed"]


def test_a_seed_that_a_cut_left_on_its_way_is_removed(scene: Scene) -> None:
    folder = scene.root / "data/identity"
    for name in ("restored", ".restored.0011223344556677"):
        (folder / name).write_bytes(b"y" * 32)
    scene.write("name: x\n")
    scene.apply()
    assert not list(folder.iterdir())


def test_what_is_taken_out_of_the_file_goes(scene: Scene) -> None:
    scene.write(WHOLE)
    scene.apply()
    (scene.root / "etc/skywire/board.yaml").write_text("gpio: {status_led: 6}\n")  # somebody's own by now
    scene.write("name: attic\n")
    scene.apply()
    assert not scene.has("etc/systemd/network/60-setup-ethernet.network")
    assert not scene.has("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")
    assert not scene.has("data/owner/authorized_keys.d/setup")
    assert scene.has("etc/skywire/board.yaml")
    scene.write("")
    scene.apply()
    assert scene.text("run/skywire/etc/hostname") == "skywire\n"


def test_a_password_that_is_gone_leaves_out_wifi_alone(scene: Scene) -> None:
    scene.write(WHOLE)
    scene.apply()
    shutil.rmtree(scene.root / "data/setup")  # a factory reset
    (scene.root / "etc/wpa_supplicant/wpa_supplicant-wlan0.conf").unlink()
    notes = scene.apply()
    assert ["holds no password for 'my net'" in note for note in notes] == [True]
    assert "holds no password" in scene.report
    assert not scene.has("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")
    assert scene.text("run/skywire/etc/hostname") == "attic\n"


def test_where_data_is_ram_the_card_keeps_its_secrets(scene: Scene) -> None:
    (scene.root / "run/skywire/data-fault").write_text("no data partition")
    scene.write(WHOLE)
    scene.apply()
    assert scene.text("run/skywire/etc/hostname") == "attic\n"
    assert "correct horse" in scene.fat.get("skywire.yaml").decode()
    assert not scene.has("data/setup/applied.sums")


def test_a_new_secret_of_the_same_length_is_taken(scene: Scene) -> None:
    scene.write(WHOLE)
    scene.apply()
    first = scene.text("etc/wpa_supplicant/wpa_supplicant-wlan0.conf")
    scene.write(WHOLE.replace("correct horse", "correct house"))
    scene.apply()
    assert scene.text("etc/wpa_supplicant/wpa_supplicant-wlan0.conf") != first


class CutCard(Card):
    """Ends the process before its n-th write, as a power cut would."""

    left = 0

    def _write(self, fd: int, data: bytes, offset: int) -> None:
        step()
        super()._write(fd, data, offset)


def step() -> None:
    CutCard.left -= 1
    if CutCard.left == 0:
        os._exit(9)


def cut_after(scene: Scene, steps: int) -> bool:
    """A boot that is cut before its n-th rename, removal or write to the card; False when it came to its end."""
    child = os.fork()
    if child == 0:
        CutCard.left = steps
        sys.addaudithook(lambda event, _: step() if event in {"os.rename", "os.remove"} else None)
        try:
            scene.apply(CutCard(scene.fat.path, START))
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def kept(scene: Scene) -> dict[str, bytes]:
    card = {name: scene.fat.get(name) for name in ("skywire.yaml", "skywire-error.txt")}
    files = [path for path in scene.root.rglob("*") if path.is_file() and ".new" not in path.name]
    return card | {str(path.relative_to(scene.root)): path.read_bytes() for path in files}


def test_a_cut_before_any_step_is_made_good(tmp_path: Path, scene: Scene) -> None:
    filling = "# " + "x" * 700 + "\n"
    text = f"name: old\n{filling}invite: {INVITE}\n{filling}{WHOLE.removeprefix('name: Attic')}"
    scene.write(text.replace("name: old", "name: new"))
    scene.apply()
    want = kept(scene)
    for steps in range(1, 200):
        again = Scene(tmp_path / f"{steps}")
        again.write(text.replace("name: old", "name: new"))
        if not cut_after(again, steps):
            break
        again.fat.remount()
        if b"_____" in again.fat.get("skywire.yaml"):
            assert "data/setup/applied.json" in kept(again)
        again.apply()
        assert kept(again) == want
        if steps % 8 == 0:
            again.fat.check()
        shutil.rmtree(tmp_path / f"{steps}")
    assert 15 < steps < 150
