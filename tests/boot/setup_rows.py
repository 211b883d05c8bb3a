"""Set-up by the boot partition, on a board that was started with a skywire.yaml: what it made of it, and of the card.

`setup_rows` wants a board started with `skywire_yaml=SETTINGS` and its first boot; `wrong_rows` one with `WRONG`. Both
leave the board running and look at its card from outside, where QEMU has written what the board wrote.
"""

from pathlib import Path

from image.emulator.board import Board
from image.errors import CommandError
from image.recipe import SECTOR, read_recipe
from tests.boot.rows import Table

NAME, PASSWORD = "attic", "correct horse battery"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHNldHVwLXJvd3Mta2V5LWZvci10ZXN0cy1vbmx5LTEyMyE setup-rows"
SETTINGS = f"""\
name: {NAME}
ssh_keys: [{KEY}]
time_zone: Asia/Tokyo
wifi:
  country: JP
  ssid: a network
  password: {PASSWORD}
network:
  ethernet:
    address: 10.0.2.15/24
    gateway: 10.0.2.2
    dns: 10.0.2.3
"""
WRONG = "name: cellar\ntime_zone: Asia/Tokio\n"
SAYS = "skywire.yaml:2: key 'time_zone': must be a name of the tz database, such as Europe/Berlin, found 'Asia/Tokio'"
BROKEN_KEY = "authorized_keys:2: the key after 'ssh-ed25519' is not whole"
SUPPLICANT = "/etc/wpa_supplicant/wpa_supplicant-wlan0.conf"
NETWORK = "networkctl status eth0 2>/dev/null | grep -E 'Network File|Address'; ls /etc/systemd/network"


def setup_rows(board: Board, table: Table) -> None:
    """Host name, key, time zone, address, Wi-Fi; then the card: the password is gone, its file system is whole."""

    def asks(claim: str, command: str, *holds: str) -> None:
        def look() -> tuple[str, bool]:
            said = board.ssh(command, user="admin").stdout
            return said, all(word in said for word in holds)

        table.check(claim, look)

    asks("skywire.yaml: the host name", "hostname; getent hosts $(hostname)", NAME, f"127.0.1.1       {NAME}")
    asks("the time zone", "date +%Z", "JST")
    asks("the SSH key, for both users", "sudo tail -n +1 /run/skywire/keys/*", KEY)
    asks("a fixed address instead of DHCP", NETWORK, "60-setup-ethernet.network", "10.0.2.15")
    asks(
        "Wi-Fi: WPA's key, never the pass phrase",
        f"sudo cat {SUPPLICANT}; sudo grep -rc '{PASSWORD}' /data /etc | cut -d: -f2 | sort -u",
        "country=JP", f"ssid={b'a network'.hex()}", "psk=", "\n0\n",
    )  # fmt: skip
    table.check("and the password is overwritten on the card", lambda: look_at_card(board, "skywire.yaml", "______"))
    claim = "of the boot partition only its bytes changed; fsck.vfat finds it clean"
    table.check(claim, lambda: compare(board, {"skywire.yaml"}))


def as_windows(key: str) -> bytes:
    """What PowerShell's `>` writes, with a line that somebody cut short."""
    return f"{key}{KEY[:40]}\n".replace("\n", "\r\n").encode("utf-16")


def wrong_rows(board: Board, table: Table) -> None:
    """A wrong file: the board runs, by its defaults, and says what is wrong where a person looks. Its keys are those of
    `as_windows`.
    """

    def look() -> tuple[str, bool]:
        said = board.ssh("hostname; cat /run/skywire/setup-fault", user="admin").stdout
        return said, said.startswith("skywire\n") and SAYS in said

    table.check("a wrong skywire.yaml: the board runs with its defaults", look)
    on_console = [line for line in board.console().splitlines() if SAYS in line]
    table.add("and says so on the console", on_console[0] if on_console else "nothing", bool(on_console))
    table.check("and in skywire-error.txt on the card", lambda: look_at_card(board, "skywire-error.txt", SAYS))
    claim = "keys in UTF-16, as PowerShell saves them, let in; a line that is none is told there"
    table.check(claim, lambda: look_at_card(board, "skywire-error.txt", BROKEN_KEY))
    table.check("and in the log", lambda: _logged(board, "skywire-login-keys", BROKEN_KEY))
    table.check("of the boot partition only that file changed", lambda: compare(board, {"skywire-error.txt"}))


def _logged(board: Board, unit: str, wanted: str) -> tuple[str, bool]:
    said = board.ssh(f"sudo journalctl -b -q -o cat -u {unit}", user="admin").stdout
    return said, wanted in said


def look_at_card(board: Board, name: str, wanted: str) -> tuple[str, bool]:
    """A file of the card, read from outside by mtools."""
    said = board.run("mtype", "-i", read_fat(board, "after"), f"::{name}").decode()
    return said.strip(), wanted in said and PASSWORD not in said


def compare(board: Board, names: set[str]) -> tuple[str, bool]:
    """The boot partition now and at power-on: the same files but for `names`, and the same tables."""
    before, after = (read_fat(board, word, first=word == "before") for word in ("before", "after"))
    old, new = before.read_bytes(), after.read_bytes()
    sectors = [at for at in range(0, len(old), SECTOR) if old[at : at + SECTOR] != new[at : at + SECTOR]]
    first_data = _data_start(old)
    try:
        board.run("fsck.vfat", "-n", after)
        clean = True
    except CommandError:
        clean = False
    seen = f"{len(sectors)} sectors changed, {sum(at < first_data for at in sectors)} of them in tables"
    wanted = {place for name in names for place in _sectors(board, before, old, name)}
    return f"{seen}; clean: {clean}", clean and bool(sectors) and set(sectors) <= wanted


def read_fat(board: Board, word: str, *, first: bool = False) -> Path:
    """The boot partition as a file: as the card has it, or (`first`) as it was before the first power-on."""
    target = board.folder / f"{word}.fat"
    if first and target.exists():
        return target
    disk = read_recipe().disk
    source = board.folder / "card.qcow2"
    whole = board.folder / "whole.raw"
    board.run("qemu-img", "convert", "-U", "-O", "raw", source, whole)
    with whole.open("rb") as file:
        file.seek(disk.fat_lba * SECTOR)
        target.write_bytes(file.read(disk.fat_mib << 20))
    whole.unlink()
    return target


def keep_fat(board: Board) -> None:
    """Before power-on: what `compare` compares with."""
    read_fat(board, "before", first=True)


def _data_start(fat: bytes) -> int:
    reserved, tables = int.from_bytes(fat[14:16], "little"), fat[16]
    return (reserved + tables * int.from_bytes(fat[36:40], "little")) * SECTOR


def _sectors(board: Board, fat: Path, data: bytes, name: str) -> set[int]:
    """Where the file's sectors lie, by what they hold; blank ones count wherever they are blank."""
    content = board.run("mtype", "-i", fat, f"::{name}")
    pieces = {content[at : at + SECTOR] for at in range(0, len(content), SECTOR)}
    places = range(_data_start(data), len(data), SECTOR)
    return {at for at in places if data[at : at + SECTOR] in pieces or any(data.startswith(one, at) for one in pieces)}
