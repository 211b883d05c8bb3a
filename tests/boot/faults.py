"""Cards that are not as they should be, on `virt`: without keys, booted twice, with data missing or ruined."""

import re
from pathlib import Path

from image.emulator.board import Board, answers_ssh
from image.recipe import SECTOR, read_recipe
from tests.boot import recovery
from tests.boot.card import open_card, partitions
from tests.boot.rows import Table, wait_for

DEADLINE_S = 900
RUINED_BYTES = 1 << 20
NO_DATA_FLASHES = 3
CUTS_S = (3, 5, 9, 16)


def prove_faults(image: Path, scratch: Path, table: Table) -> None:
    without_keys(image, scratch, table)
    changed_root(image, scratch, table)
    cut_first_boots(image, scratch, table)
    twice_then_ruined(image, scratch, table)


def without_keys(image: Path, scratch: Path, table: Table) -> None:
    """The shipped card: SSH answers, and refuses everybody."""
    with Board("virt", image, scratch / "nokeys", login=False) as board:
        up = wait_for(lambda: answers_ssh(board.port), DEADLINE_S)
        table.add("the shipped card comes up", f"SSH greets {board.seconds:.0f} s after power-on", bool(up))
        for user in ("viscript", "admin", "root"):
            done = board.ssh("status", user=user, check=False)
            table.add(f"without authorized_keys {user} is refused", done.stderr, done.returncode == 255)
        seen = recovery.wait_named(board, ("unclaimed",), 180)
        table.add("and the board runs, and says that it is nobody's", f"the light says: {seen}", bool(seen))


def changed_root(image: Path, scratch: Path, table: Table) -> None:
    """Blocks of slot A's root are overwritten: the kernel refuses them and restarts, and U-Boot counts."""
    board = Board("virt", image, scratch / "changed")
    slot = read_recipe().disk.slot_lbas[0] * SECTOR
    for mib in range(24, 72):
        board.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 0xa5 {slot + (mib << 20)} 4096", board.card)
    with board:
        claim = "changed blocks of the root are refused: restart, and the next try is counted"

        def look() -> tuple[str, bool]:
            board.wait_console(r"SKY state .* A=2 (?s:.*)SKY state .* A=1 ", DEADLINE_S)
            refused = re.findall(r"verity: .* is corrupted", board.console())
            return f"{refused[:1]}; then A=1", bool(refused)

        table.check(claim, look)


def cut_first_boots(image: Path, scratch: Path, table: Table) -> None:
    """The plug is pulled at four moments of the first boot, from making the file system to making the host key."""
    board = Board("virt", image, scratch / "cut")
    cuts = []
    for seconds in CUTS_S:
        with board:
            board.wait_console("Starting kernel", DEADLINE_S)
            board.watch_lights(seconds)
            cuts.append(f"{seconds} s")
    with board:
        first = _identity(board)
        failed = board.ssh("systemctl --failed --no-legend --plain | wc -l; ls /run/skywire", user="admin").stdout
    with board:
        second = _identity(board)
    seen = f"cut {', '.join(cuts)} after the kernel's start; then {first}; {failed}; again {second}"
    table.add("first boot cut four times: whole afterwards", seen, first == second and failed[0] == "0" and
              "fault" not in failed)  # fmt: skip


def twice_then_ruined(image: Path, scratch: Path, table: Table) -> None:
    """First boot, the plug pulled, second boot: nothing made twice. Then a ruined, then a missing data partition."""
    board = Board("virt", image, scratch / "again")
    with board:
        first = _identity(board)
    with board:
        second = _identity(board)
        table.add("a second boot after the plug was pulled makes nothing anew", f"{first} / {second}", first == second)
    start = partitions(board, open_card(board, scratch))[3][0]
    _overwrite(board, start * SECTOR, RUINED_BYTES)
    with board:
        _runs_in_ram(board, table, "a ruined data partition")
    kind, zeros = partitions(board, open_card(board, scratch))[3][2], _zeros(board, scratch, start)
    seen = f"type {kind}, its first {zeros} bytes still zero"
    table.add("it was not formatted again", seen, kind == "83" and zeros == RUINED_BYTES)
    _overwrite(board, 446 + 3 * 16, 16)
    with board:
        _runs_in_ram(board, table, "a missing data partition")


def _identity(board: Board) -> str:
    board.wait_ssh(DEADLINE_S, user="admin", command="uptime")
    said = board.ssh(
        "cat /etc/machine-id; sudo sh -c 'cat /etc/ssh/host_keys/*.pub'; lsblk -no UUID /dev/disk/by-label/skydata",
        user="admin",
    ).stdout
    machine, *keys, volume = said.splitlines()
    assert keys, said
    return " ".join((machine[-8:], *(key.split()[1][-8:] for key in keys), volume[-8:]))


def _overwrite(board: Board, offset: int, count: int) -> None:
    board.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 0 {offset} {count}", board.card)


def _zeros(board: Board, scratch: Path, start: int) -> int:
    with open_card(board, scratch).open("rb") as card:
        card.seek(start * SECTOR)
        data = card.read(RUINED_BYTES)
    return len(data) - len(data.lstrip(b"\0"))


def _runs_in_ram(board: Board, table: Table, what: str) -> None:
    def look() -> tuple[str, bool]:
        (board.folder / "known_hosts").unlink(missing_ok=True)  # the host key it was known by was on the data
        board.wait_ssh(DEADLINE_S)
        said = board.ssh("findmnt -no FSTYPE /data; cat /run/skywire/data-fault", user="admin").stdout
        counted = recovery.wait_code(board, NO_DATA_FLASHES, 180)
        seen = f"{said} flashes counted between pauses: {counted}"
        return seen, said.startswith("tmpfs") and set(counted) == {NO_DATA_FLASHES}

    table.check(f"{what}: in RAM, SSH works, fault pattern", look)
