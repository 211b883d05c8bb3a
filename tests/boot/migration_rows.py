"""Data that goes to a second version and comes back, on an emulated board: an update whose root knows that version is
brought, the plug is pulled between two of its swaps, and then its slot is taken back.

The version is the test's own (`data_of_two`), laid into the root of the bundle beside the board's code, which does the
rest. Of that code one line is another: it stops once after the second swap, so that the plug can be pulled there.
"""

import json
import re
from pathlib import Path
from typing import Any

from image.emulator.board import Board
from tests.boot import data_of_two, other_slot
from tests.boot.bundle_server import BundleServer
from tests.boot.chain import FOLDER, run_program, send_program
from tests.boot.record import GUEST as KEEPER
from tests.boot.rows import Table
from tests.boot.update_rows import BOOT_DEADLINE_S, INSTALL_DEADLINE_S, await_boot, boot_note, boots_of

GUEST = Path(__file__).with_name("migration_guest.py")
VERSION = "0.1.3+0000000000da"
UPDATE = "usr/lib/skywire/lib/python3.13/site-packages/skywire_board/update"
STAMP = "usr/lib/skywire/schema.json"
NO_STEPS = "MIGRATIONS: tuple[Migration, ...] = ()\n"
STEPS = (
    "from skywire_board.update.data_of_two import TOUCHES, run\n\n"
    "MIGRATIONS: tuple[Migration, ...] = (Migration(2, TOUCHES, run),)\n"
)
SWAPPED = "            sync_folder(target.parent)\n"
WAITS = "two swaps are made, and the plug may be pulled"
WAIT = f"""\
            if move is journal.moves[1] and not (data / "update/pulled").exists():
                write_whole(data / "update/pulled", b"")
                print("{WAITS}", flush=True)
                __import__("time").sleep(3600)
"""
WORDS = "systemd.mask=skywire-mark-good.service systemd.journald.forward_to_console=1"
"""For the kernel: the trial goes on while it is looked at, and what services say stands on the console."""

OLD, NEW = "kept, in the words of 1", "kept, in the words of 2"
LATER = 500
"""The first number of the names and messages that the newer system is given."""

FAILS = "update: the data could not be migrated"
MOST_TRIES = 3
"""Of a migration that fails, in one boot: services that need it may ask once more while the board restarts."""

Seen = dict[str, Any]


def make_bundle(board: Board, scratch: Path) -> Path:
    """A signed bundle whose system knows version 2 of the data."""
    scratch.mkdir(exist_ok=True)
    slot = other_slot.take_slot(board.image, scratch / "slot")
    root = other_slot.changed_root(board.run, slot, scratch, change_root, scratch / "root")
    words = other_slot.changed_words(board.run, root, scratch, WORDS, scratch / "words")
    bundle = other_slot.sign(board.run, words, VERSION, scratch, scratch / "two.raucb")
    for path in (slot, root, words):
        path.unlink()
    return bundle


def change_root(root: Path) -> None:
    other_slot.set_version(VERSION)(root)
    (root / STAMP).write_text('{"version":2}\n')
    update = root / UPDATE
    (update / "data_of_two.py").write_bytes(Path(data_of_two.__file__).read_bytes())
    for name, old, new in (("schema", NO_STEPS, STEPS), ("migrate", SWAPPED, SWAPPED + WAIT)):
        source = update / f"{name}.py"
        text = source.read_text()
        assert text.count(old) == 1, f"'{old.strip()}' stands {text.count(old)} times in {name}.py"
        source.write_text(text.replace(old, new))
        (update / f"__pycache__/{name}.cpython-313.pyc").unlink()  # else the source is not looked at


def migration_rows(board: Board, table: Table, bundle: Path) -> None:
    """The board is up, and is left up in the slot that it began with."""
    board.ssh(f"echo '{OLD}' | sudo tee /etc/skywire/kept", user="admin")
    board.ssh("s meshnet-messenger")
    send_program(board, KEEPER)
    old_words = [*keep(board, "names", 0), *keep(board, "messages", 0)]
    first, same = look(board), identity(board)
    cut(board, table, bundle)
    newer = look(board)
    went_forward(table, first, newer, old_words)
    table.add("identity and settings are the same", f"{same} -> {identity(board)}", same == identity(board))
    board.ssh("s meshnet-messenger")
    new_words = [*keep(board, "names", LATER), *keep(board, "messages", LATER)]
    newer = look(board)
    seen = f"{', '.join(new_words)}; {newer['messages']}"
    table.add("the newer system goes on writing", seen, set(new_words[1:]) <= set(newer["messages"]))
    take_back(board, table)
    came_back(table, first, look(board), old_words, new_words)
    table.add("identity and settings still are", f"{same} -> {identity(board)}", same == identity(board))
    step_fails(board, table, bundle)


def cut(board: Board, table: Table, bundle: Path) -> None:
    """Installs, restarts into the new slot, and pulls the plug between two swaps of its migration."""
    install(board, table, bundle)
    board.wait_console(WAITS, BOOT_DEADLINE_S)
    board.close()
    table.add("the plug is pulled between two swaps of names", WAITS, ok=True)
    board.power_on()
    send_again(board)


def install(board: Board, table: Table, bundle: Path) -> None:
    """Until the boot loader runs that is to start it."""
    boots = boots_of(board)
    with BundleServer(bundle) as server:
        done = board.ssh(f"update {server.url} --yes", deadline_s=INSTALL_DEADLINE_S, check=False)
    ok = done.returncode == 0 and VERSION in done.stdout
    table.add("an update whose system knows version 2 of the data", done.stdout[-200:] + done.stderr, ok)
    await_boot(board, boots)


def step_fails(board: Board, table: Table, bundle: Path) -> None:
    """The same update once more, and data that its migration does not understand: no service has seen the new slot."""
    board.ssh("echo 'in no words' | sudo tee /etc/skywire/kept", user="admin")
    before = look(board)
    install(board, table, bundle)
    await_boot(board, boots_of(board))
    board.wait_ssh(BOOT_DEADLINE_S)
    after = look(board)
    why = after["note"]["rolled_back"]
    tries = board.console().count(FAILS)
    ok = after["note"]["slot"] == before["note"]["slot"] and "'in no words' is not in the words of 1" in why
    table.add("a migration that fails takes its slot back by itself", why, ok)
    table.add("and is not tried over and over before that", f"{tries} times", 1 <= tries <= MOST_TRIES)
    same = ("schema", "kept", "marks", "owners", "messages", "left")
    seen = f"{[before[name] for name in same]} -> {[after[name] for name in same]}"
    table.add("and has changed nothing", seen, all(before[name] == after[name] for name in same))


def went_forward(table: Table, first: Seen, newer: Seen, words: list[str]) -> None:
    note = newer["note"]
    seen = f"{first['schema']} -> {newer['schema']}; {newer['unit'].split()}; left over: {newer['left']}; {note}"
    ok = newer["schema"] == '{"version":2}' and newer["unit"].split() == ["success", "active"] and not newer["left"]
    table.add("the next boot of the new slot ends the migration", seen, ok and note["version"] == VERSION)
    seen = f"'{newer['kept']}', marks {newer['marks']}; failed units: '{newer['failed']}'"
    ok = newer["kept"] == NEW and newer["marks"] == ["2", "2"] and not newer["failed"]
    table.add("the data is in its new form, also a file of /etc/skywire", seen, ok)
    seen = f"{first['owners']} -> {newer['owners']}"
    table.add("each file has its owner and mode", seen, first["owners"] == newer["owners"] and all(newer["owners"]))
    ok = newer["kept_before"] == OLD and set(newer["messages"]) == set(newer["messages_before"]) == set(words[1:])
    seen = f"'{newer['kept_before']}', {newer['names_before']}, {newer['messages_before']}"
    table.add("what was there is kept under /data/before/1", seen, ok and words[0] in newer["names_before"])


def take_back(board: Board, table: Table) -> None:
    """By the unit that the supervisor starts when a trial has failed."""
    note = look(board)["note"]
    boots = boots_of(board)
    board.ssh("sudo systemctl start --no-block skywire-roll-back.service", user="admin", check=False)
    await_boot(board, boots)
    send_again(board)
    seen = boot_note(board, lambda found: bool(found.get("rolled_back")), BOOT_DEADLINE_S)
    ok = note["trial"] and seen.get("slot") == note["other"] and VERSION in seen.get("rolled_back", "")
    table.add("the slot is taken back on its trial, and the older runs", f"{note} -> {seen}", ok)


def came_back(table: Table, first: Seen, older: Seen, old_words: list[str], new_words: list[str]) -> None:
    seen = f"{older['schema']}; '{older['kept']}', marks {older['marks']}, {older['messages']}; {older['unit'].split()}"
    ok = all(older[name] == first[name] for name in ("schema", "kept", "marks", "owners"))
    ok = ok and set(older["messages"]) == set(old_words[1:]) and not older["left"] and not older["failed"]
    table.add("the older system has its data back as it was", f"{seen}; failed units: '{older['failed']}'", ok)
    seen = f"'{older['kept_after']}', marks {older['marks_after']}, {older['names_after']}, {older['messages_after']}"
    ok = older["kept_after"] == NEW and older["marks_after"] == ["2", "2"] and new_words[0] in older["names_after"]
    ok = ok and {*old_words[1:], *new_words[1:]} == set(older["messages_after"])
    table.add("what the newer one wrote is put aside under /data/after/2", seen, ok)


def keep(board: Board, kind: str, first: int) -> list[str]:
    """Words that the node or the messenger said it keeps."""
    said = run_text(board, f"keep {kind} {first} 1")
    words = re.findall(rf"^kept {kind} (\S+)$", said, re.MULTILINE)
    assert words, f"the board did not keep {kind}: {said}"
    return words


def run_text(board: Board, words: str) -> str:
    command = f"sudo /usr/lib/skywire/bin/python3 -IB {FOLDER}/{KEEPER.name} {words}"
    return board.ssh(command, user="admin", deadline_s=BOOT_DEADLINE_S).stdout


def look(board: Board) -> Seen:
    send_program(board, GUEST)
    return run_program(board, GUEST)


def identity(board: Board) -> str:
    """Node, seed, machine, host name and host key, as the board and its programs give them."""
    found = json.loads(run_text(board, "look"))
    keys = board.ssh("sudo cat /etc/ssh/host_keys/ssh_host_ed25519_key.pub", user="admin").stdout
    return " ".join((found["node"][:16], found["seed"][:8], found["machine"][:8], found["host"], keys.split()[1][-8:]))


def send_again(board: Board) -> None:
    """What is on the board in RAM alone, once it lets us in and its node's launcher is up."""
    board.wait_ssh(BOOT_DEADLINE_S)
    send_program(board, KEEPER)
