"""`image/flash` as a person runs it, on plain files and on loop devices."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from image.flashing.checking import node_id
from image.recipe import HERE, SECTOR, Recipe
from image.run import Runner
from tests.image.flashing.conftest import OLD, check_fat, make_image, read_fat_file
from tests.image.flashing.test_settings import INVITE, KEY


def flash(*words: str | Path, said: str = "", code: int = 0) -> str:
    """What it printed; `said` is what the person types."""
    command = [sys.executable, "-m", "image.flashing", *map(str, words)]
    env = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, input=said, capture_output=True, text=True, check=False, env=env, timeout=100)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def settings(card: Path, recipe: Recipe) -> object:
    return yaml.safe_load(read_fat_file(card, recipe, "skywire.yaml"))


def untouched(card: Path) -> bool:
    with card.open("rb") as file:
        return file.read(len(OLD)) == OLD


def test_a_card_is_written_and_personalised(image: Path, recipe: Recipe, card: Path, tmp_path: Path) -> None:
    key, invite = tmp_path / "key.pub", tmp_path / "invite"
    key.write_text(f"{KEY}\n")
    invite.write_text(f"{INVITE}\n")
    words = " ".join(["abandon"] * 23 + ["art"])
    told = flash(
        card, "--image", image, "--name", "attic", "--ssh-key", key, "--time-zone", "Asia/Tokyo", "--wifi", "my net",
        "--country", "JP", "--address", "192.0.2.5/24,192.0.2.1", "--invite", invite, "--role", "member", "--restore",
        said=f"correct horse\n{words}\ny\n",
    )  # fmt: skip
    for word in ("a plain file", "3.2 GB", "bring back node", "reading back", "done: the card of 'attic'"):
        assert word in told
    assert "correct horse" not in told
    assert settings(card, recipe) == {
        "name": "attic",
        "time_zone": "Asia/Tokyo",
        "invite": INVITE,
        "role": "member",
        "identity": words,
        "ssh_keys": [KEY],
        "wifi": {"country": "JP", "ssid": "my net", "password": "correct horse"},
        "network": {"ethernet": {"address": "192.0.2.5/24", "gateway": "192.0.2.1", "dns": ["192.0.2.1"]}},
    }
    check_fat(card, recipe, tmp_path)


@pytest.mark.parametrize(
    ("words", "said", "why"),
    [
        (["--name", "at_tic", "--yes"], "", "the board would refuse this: skywire.yaml:"),
        (["--time-zone", "Mars/Base", "--yes"], "", "key 'time_zone'"),
        (["--name", "attic"], "n\n", "nothing was written to"),
        (["--wifi", "x"], "", "standard input ended where password of 'x' should be"),
        (["--ssh-key", "nosuch.pub"], "", "cannot read key 'nosuch.pub'"),
        (["--restore", "--yes"], "abandon ability\n\n", "must be 24 words, not 2"),
        (["--rack", "3", "--yes"], "", "a rack wants --name"),
        (["--boot-files", "--yes"], "", "is no Skywire Board card"),
        (["--image", "nosuch.img", "--yes"], "", "nosuch.img"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(
    image: Path, card: Path, words: list[str], said: str, why: str
) -> None:
    assert why in flash(card, "--image", image, *words, said=said, code=1)
    assert untouched(card)


def test_a_card_that_is_too_small_is_refused(image: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    with small.open("wb") as file:
        file.truncate(1 << 30)
    assert "holds 1.1 GB, and 1.7 GB are needed" in flash(small, "--image", image, "--yes", code=1)
    assert "cannot look at" in flash(tmp_path / "none", "--image", image, "--yes", code=1)


def test_a_rack_of_cards(image: Path, recipe: Recipe, card: Path, tmp_path: Path) -> None:
    invite = tmp_path / "invite"
    invite.write_text(INVITE)
    told = flash(card, "--image", image, "--name", "sky", "--rack", "2", "--invite", invite, "--yes", said="\n\n")
    assert "card 1 of 2, 'sky-1'" in told
    assert "done: the card of 'sky-1'" in told
    assert settings(card, recipe) == {"name": "sky-2", "invite": INVITE}


def test_a_rack_from_nothing(image: Path, recipe: Recipe, card: Path) -> None:
    rack: list[str | Path] = ["--image", image, "--name", "sky", "--rack", "2", "--yes"]
    told = flash(card, *rack, said="\n", code=1)  # the person walks away after the first card
    assert "'sky-1' will be the manager" in told
    found = settings(card, recipe)
    assert isinstance(found, dict)
    assert set(found) == {"name", "role", "identity", "admit"}
    assert (found["name"], found["role"], len(found["identity"].split())) == ("sky-1", "manager", 24)
    assert len(found["admit"][0]) == 64
    flash(card, *rack, said="\n\n")
    found = settings(card, recipe)
    assert isinstance(found, dict)
    assert set(found) == {"name", "role", "identity", "invite"}
    assert "@sky-2.local" not in found["invite"]
    assert "@sky-1.local:7997/" in found["invite"]


def test_a_bad_card_of_a_rack_is_replaced(image: Path, recipe: Recipe, run: Runner, card: Path) -> None:
    """The second card fails; another becomes the very board that the first admits."""
    words = [card, "--image", image, "--name", "sky", "--rack", "2", "--yes"]
    command, env = (
        [sys.executable, "-m", "image.flashing", *map(str, words)],
        os.environ | {"PYTHONPATH": str(HERE.parent)},
    )
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True, env=env) as flashing:
        ends = threading.Timer(100, flashing.kill)
        ends.start()
        try:
            assert flashing.stdin is not None
            assert flashing.stdout is not None
            assert flashing.stderr is not None
            print(file=flashing.stdin, flush=True)
            assert any("done: the card of 'sky-1'" in line for line in flashing.stdout)
            first = settings(card, recipe)
            os.truncate(card, 1 << 20)
            print(file=flashing.stdin, flush=True)
            assert "card 2 of 2, 'sky-2' failed:" in flashing.stderr.readline()
            os.truncate(card, 3 << 30)
            told, wrong = flashing.communicate("y\n\n", 100)
        finally:
            ends.cancel()
            flashing.kill()
    assert (flashing.returncode, "done: the card of 'sky-2'" in told) == (0, True), wrong
    second = settings(card, recipe)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert [node_id(run, second["identity"])] == first["admit"]


def test_boot_files_are_brought_up_to_date(
    image: Path, recipe: Recipe, run: Runner, card: Path, tmp_path: Path
) -> None:
    flash(card, "--image", image, "--name", "attic", "--yes")
    place = f"{card}@@{recipe.disk.fat_lba * SECTOR}"
    run("mcopy", "-o", "-i", place, "-", "::config.txt", stdin=b"old=1\r\n[all]\r\ndtparam=spi=on\r\n")
    run("mcopy", "-o", "-i", place, "-", "::user-data", stdin=b"#cloud-config\n")
    run("mdel", "-i", place, "::skywire-error.txt")
    with card.open("r+b") as file:
        file.seek(recipe.disk.data_lba * SECTOR)
        file.write(b"precious")
    new = make_image(tmp_path / "new", recipe, run, b"boot script, newer")
    told = flash(card, "--image", new, "--boot-files", said="y\n")
    assert "written and read back: boot.scr, config.txt, skywire-error.txt" in told
    assert read_fat_file(card, recipe, "boot.scr") == b"boot script, newer"
    assert read_fat_file(card, recipe, "config.txt") == b"arm_64bit=1\n[all]\ndtparam=spi=on\n"
    assert settings(card, recipe) == {"name": "attic"}
    with card.open("rb") as file:
        file.seek(recipe.disk.data_lba * SECTOR)
        assert file.read(8) == b"precious"
    assert "nothing, all of it is up to date" in flash(card, "--image", new, "--boot-files", "--yes")
    check_fat(card, recipe, tmp_path)


@contextmanager
def loop(card: Path) -> Iterator[Path]:
    said = subprocess.run(
        ["losetup", "-P", "-f", "--show", str(card)], capture_output=True, text=True, check=True
    ).stdout
    try:
        yield Path(said.strip())
    finally:
        subprocess.run(["losetup", "-d", said.strip()], check=True)


@pytest.mark.skipif(os.geteuid() != 0 or not Path("/dev/loop-control").exists(), reason="needs root and loop devices")
def test_a_disk_is_looked_at_before_it_is_overwritten(image: Path, recipe: Recipe, card: Path, tmp_path: Path) -> None:
    with loop(card) as device:
        assert "is not a removable disk (if it is the card" in flash(device, "--image", image, "--yes", code=1)
        assert untouched(card)
        told = flash(device, "--image", image, "--even-if-not-removable", "--name", "attic", said="y\n")
        assert str(card) in told
        check_fat(card, recipe, tmp_path)
        assert settings(card, recipe) == {"name": "attic"}
    with loop(card) as device:
        part = Path(f"{device}p1")
        if part.exists():
            assert f"is a partition: name the whole disk, '{device}'" in flash(part, "--image", image, "--yes", code=1)
            (tmp_path / "mount").mkdir()
            subprocess.run(["mount", "-o", "ro", part, tmp_path / "mount"], check=True)
            try:
                told = flash(device, "--image", image, "--yes", "--even-if-not-removable", code=1)
                assert f"{part.name} is mounted on {tmp_path / 'mount'}" in told
            finally:
                subprocess.run(["umount", tmp_path / "mount"], check=True)
