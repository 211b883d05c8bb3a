"""`tests/prove board`: the life of the board on emulated ones, each part from a card of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from image.emulator.board import Board
from image.emulator.lan import Lan
from image.run import Runner
from tests.boot import (
    cable_rows,
    care_rows,
    cut_rows,
    migration_rows,
    owner_rows,
    pairing_rows,
    rack_rows,
    rollout_rows,
    second_rows,
    security_rows,
    setup_rows,
    update_rows,
    watchdog_rows,
    worn_rows,
)
from tests.boot.raspi3b import prove_raspi3b
from tests.boot.record import record
from tests.boot.rows import Table
from tests.proofs import board_rollout

BOOT_DEADLINE_S = 1500
IDLE_MINUTES = 15.0
CUTS = 50


class Ground:
    """What every part stands on: the image, a folder for its cards, how many cuts, and the dice's seed."""

    def __init__(self, image: Path, scratch: Path, cuts: int, seed: int | None) -> None:
        self.image, self.scratch, self.cuts, self.seed = image, scratch, cuts, seed

    @contextmanager
    def board(self, name: str, *, watchdog: bool = False) -> Iterator[Board]:
        """Up, with its shell answering."""
        with Board("virt", self.image, self.scratch / name, watchdog=watchdog) as board:
            board.wait_ssh(BOOT_DEADLINE_S)
            yield board


def firstboot(ground: Ground, table: Table) -> None:
    for name, text, keys, rows in (
        ("settings", setup_rows.SETTINGS, str.encode, setup_rows.setup_rows),
        ("wrong", setup_rows.WRONG, setup_rows.as_windows, setup_rows.wrong_rows),
    ):
        board = Board("virt", ground.image, ground.scratch / name, skywire_yaml=text, keys=keys)
        setup_rows.keep_fat(board)
        with board:
            board.wait_ssh(BOOT_DEADLINE_S)
            rows(board, table)


def owner(ground: Ground, table: Table) -> None:
    with Board("virt", ground.image, ground.scratch / "owner", login=False) as board:
        owner_rows.owner_rows(board, table)


def pairing(ground: Ground, table: Table) -> None:
    folder = ground.scratch / "pairing"
    folder.mkdir()
    with Lan(folder / "lan.log") as lan:
        one, other = (Board("virt", ground.image, folder / name, lan=lan) for name in ("one", "other"))
        with one, other:
            for board in (one, other):
                board.wait_ssh(BOOT_DEADLINE_S)
            pairing_rows.pairing_rows(one, other, table)


def cable(ground: Ground, table: Table) -> None:
    folder = ground.scratch / "cable"
    folder.mkdir()
    with Lan(folder / "lan.log", dhcp=False) as lan:
        one, other = (Board("virt", ground.image, folder / name, lan=lan) for name in ("one", "other"))
        with one, other:
            for board in (one, other):
                board.wait_ssh(BOOT_DEADLINE_S)
            cable_rows.cable_rows(one, other, lan, table)


def rack(ground: Ground, table: Table) -> None:
    folder = ground.scratch / "rack"
    folder.mkdir()
    cards = rack_rows.write_rack(ground.image, folder)
    with rack_rows.rack_of(cards, folder) as boards:
        rack_rows.rack_rows(boards, table)


def update(ground: Ground, table: Table) -> None:
    with ground.board("update") as board:
        well, broken = update_rows.make_bundles(board, ground.scratch / "bundles")
        update_rows.refused(board, table, well, ground.scratch)
        update_rows.update_stays(board, table, well)
        # both slots are good now: each of these ends in the other one
        worn_rows.worn_rows(board, table)
        update_rows.unclean_boots(board, table)
        update_rows.corrupted_slot(board, table)
        update_rows.update_is_taken_back(board, table, broken)
        update_rows.update_from_files(board, table, well)


def oldboot(ground: Ground, table: Table) -> None:
    folder = ground.scratch / "oldboot"
    folder.mkdir()
    with (folder / "log").open("w") as log:
        image = update_rows.with_old_boot_script(ground.image, Runner(log, 0), folder)
    with Board("virt", image, folder / "board") as board:
        board.wait_ssh(BOOT_DEADLINE_S)
        well, _ = update_rows.make_bundles(board, folder / "bundles")
        update_rows.update_stays(board, table, well)


def migration(ground: Ground, table: Table) -> None:
    with ground.board("migration") as board:
        bundle = migration_rows.make_bundle(board, ground.scratch / "migration-bundles")
        migration_rows.migration_rows(board, table, bundle)


def rollout(ground: Ground, table: Table) -> None:
    for row in board_rollout.rows():
        table.add(row.claim, row.seen, row.ok, aim=row.aim)
    with ground.board("rollout") as board:
        well, _ = update_rows.make_bundles(board, ground.scratch / "rollout-bundles")
        rollout_rows.rollout_rows(board, table, well, update_rows.NEWER)


def cuts(ground: Ground, table: Table) -> None:
    recorder = record(ground.image, ground.scratch / "cuts")
    try:
        well, _ = update_rows.make_bundles(recorder.board, ground.scratch / "cuts-bundles")
        recorder.first_boot()
        recorder.settings()
        recorder.messages()
        recorder.update(well)
        recorder.forgetful()
    finally:
        recorder.board.close()
    cut_rows.cut_rows(recorder, table, ground.scratch / "cut", ground.cuts, ground.seed)


def watchdog(ground: Ground, table: Table) -> None:
    with ground.board("watchdog", watchdog=True) as board:
        watchdog_rows.watchdog_rows(board, table)
        watchdog_rows.memory_rows(board, table)
        watchdog_rows.early_rows(board, table, ground.scratch / "early")


def security(ground: Ground, table: Table) -> None:
    with ground.board("security") as board:
        security_rows.security_rows(board, table)


def raspi3b(ground: Ground, table: Table) -> None:
    """Its boot chain, lights and button, seen at the registers of its GPIO block."""
    prove_raspi3b(ground.image, ground.scratch, table)


def second(ground: Ground, table: Table) -> None:
    with ground.board("second") as board:
        second_rows.second_rows(board, table)


def card(ground: Ground, table: Table) -> None:
    with ground.board("card") as board:
        care_rows.idle_rows(board, table, IDLE_MINUTES)
        care_rows.log_rows(board, table)


PARTS: dict[str, tuple[str, Callable[[Ground, Table], None]]] = {
    "firstboot": ("first boots with a skywire.yaml", firstboot),
    "owner": ("claimed by its button, reset, restored by its words", owner),
    "pairing": ("two boards paired by their buttons", pairing),
    "cable": ("two boards on one cable, where nobody hands out addresses", cable),
    "rack": ("a rack written in a row", rack),
    "update": ("updates: one that stays, one that is taken back, a corrupted slot", update),
    "oldboot": ("an update under the boot script of before", oldboot),
    "migration": ("data that an update migrates, and that comes back when it is taken back", migration),
    "rollout": (board_rollout.TITLE, rollout),
    "cuts": ("power cuts at any moment", cuts),
    "watchdog": ("watchdog and memory ceilings", watchdog),
    "security": ("what somebody sees who wants to break in", security),
    "card": ("care of the card", card),
    "second": ("a fresh card's second slot", second),
    "raspi3b": ("the Raspberry Pi 3: boot chain, lights and button", raspi3b),
}


def prove(image: Path, scratch: Path, parts: set[str], cut_count: int, seed: int | None) -> list[Table]:
    """The tables of the parts asked for; a part that could not go on is a row that fails."""
    tables = []
    for name, (title, part) in PARTS.items():
        if name in parts:
            table = Table(title)
            tables.append(table)
            ground = Ground(image, scratch, cut_count, seed)
            table.check("the part went through to its end", partial(run, part, ground, table))
    return tables


def run(part: Callable[[Ground, Table], None], ground: Ground, table: Table) -> tuple[str, bool]:
    part(ground, table)
    return f"{len(table.rows)} rows", len(table.rows) > 0
