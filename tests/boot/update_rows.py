"""Updates on an emulated board, seen from outside: one that stays, one that is taken back, one that is damaged, unclean
boots, and the boot script of before. Each function is given a board that is up, and leaves it up.

The bundles are made from the image in seconds (`other_slot`): a root with another version, and a system whose viscript
cannot start.
"""

import base64
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from image.boards import read_boards
from image.cache import default_cache
from image.emulator.board import Board
from image.recipe import SECTOR, read_recipe
from image.run import Runner
from image.steps.bundle import Keys, find_keys, make_keys
from image.steps.scripts import SCRIPT_SECTORS, pack_script, render_boot
from tests.boot import other_slot
from tests.boot.bundle_server import BundleServer
from tests.boot.rows import Table, wait_for

BOOT_DEADLINE_S = 900
INSTALL_DEADLINE_S = 900
TRIAL_DEADLINE_S = 1500
NEWER, BROKEN = "0.1.1+00000000600d", "0.1.2+00000000bad0"
OLD_BOOT = Path(__file__).parent / "old_boot/boot.cmd"
ROOT_HASH = b"sky.hash="
"""In the script of a slot, which no two slots have in common."""

FETCHED_AT_LEAST = 3 << 20
LIGHT_DEADLINE_S = 240
PASSWORD = "hush4711pw"
NO_VISCRIPT = "systemd.mask=viscript.service"
NO_INIT = "rdinit=/nothing"
"""The kernel panics at once, three times: the boot loader alone takes the other slot."""

FIRST = "sudo /usr/lib/skywire/bin/boot-backend get-primary"
KEEPS = "sudo sha256sum /data/identity/seed /data/etc/machine-id | cut -c1-16 | xargs; cat /etc/skywire/kept"


def make_bundles(board: Board, scratch: Path, fails: str = NO_VISCRIPT) -> tuple[Path, Path]:
    """The bundle that is well, and one whose kernel is given words with which the board does not come up."""
    scratch.mkdir(exist_ok=True)
    slot = other_slot.take_slot(board.image, scratch / "slot")
    well = other_slot.changed_root(board.run, slot, scratch, other_slot.set_version(NEWER), scratch / "well")
    broken = other_slot.changed_words(board.run, slot, scratch, fails, scratch / "broken")
    bundles = (
        other_slot.sign(board.run, well, NEWER, scratch, scratch / "well.raucb"),
        other_slot.sign(board.run, broken, BROKEN, scratch, scratch / "broken.raucb"),
    )
    for path in (slot, well, broken):
        path.unlink()
    return bundles


def with_old_boot_script(board_image: Path, run: Runner, scratch: Path) -> Path:
    """A copy of the image whose boot partition is as old as the first that was ever flashed."""
    target, script, disk = scratch / "old-boot.img", scratch / "boot.scr", read_recipe().disk
    run("cp", "--sparse=always", board_image, target)
    text = render_boot(read_boards(), disk.state_sectors, OLD_BOOT)
    script.write_bytes(pack_script(run, text, scratch, "boot"))
    run("mcopy", "-o", "-i", f"{target}@@{disk.fat_lba * SECTOR}", script, "::boot.scr")
    return target


def boot_note(board: Board, ready: Callable[[dict[str, Any]], bool], deadline_s: float) -> dict[str, Any]:
    """What the board says of its boot, once it is as wanted; what it said last when the deadline passes."""
    end, note = time.monotonic() + deadline_s, dict[str, Any]()
    while time.monotonic() < end:
        done = board.ssh("cat /run/skywire/boot.json", user="admin", check=False)
        if done.returncode == 0 and done.stdout.startswith("{"):
            note = json.loads(done.stdout)
            if ready(note):
                break
        time.sleep(2)
    return note


def update_stays(board: Board, table: Table, bundle: Path) -> None:
    """From the network into the other slot; it runs, everything is kept, and it is marked good after its checks."""
    board.ssh("echo kept | sudo tee /etc/skywire/kept", user="admin")
    before, slot, boots = board.ssh(KEEPS, user="admin").stdout, _slot(board), boots_of(board)
    with BundleServer(bundle) as server:
        done = board.ssh(f"update {server.url} --yes", deadline_s=INSTALL_DEADLINE_S, check=False)
        told = " | ".join(done.stdout.strip().splitlines()[-2:])
        fetched = server.fetched / 1e6
    ok = done.returncode == 0 and NEWER in done.stdout
    table.add("update <url>: installed into the slot that does not run", f"{told} {done.stderr}", ok)
    size = bundle.stat().st_size / 1e6
    seen = f"{fetched:.1f} MB fetched of {size:.1f} MB"
    table.add("it is streamed, and what the running slot has is not fetched", seen, 0 < fetched < size / 5)
    await_boot(board, boots)
    board.wait_ssh(BOOT_DEADLINE_S, user="admin", command="echo up")
    first = boot_note(board, lambda note: note.get("slot") != slot, BOOT_DEADLINE_S)
    table.add("the new slot runs, on trial", str(first), first.get("version") == NEWER and first.get("slot") != slot)
    note = boot_note(board, lambda note: bool(note.get("good")), TRIAL_DEADLINE_S)
    state = board.ssh("sudo /usr/lib/skywire/bin/boot-backend show", user="admin").stdout.strip()
    ok = bool(note.get("good")) and not note.get("trial") and not note.get("rolled_back")
    table.add("after its health checks and a whole read it is good", f"{note}; {state}", ok)
    after = board.ssh(KEEPS, user="admin").stdout
    table.add("identity and configuration are the same", f"{before} -> {after}", before == after and "kept" in after)


def update_is_taken_back(board: Board, table: Table, bundle: Path) -> None:
    """A system whose viscript cannot start: the board goes back by itself and says so."""
    slot, boots = _slot(board), boots_of(board)
    said = board.send(bundle.read_bytes(), "update - --yes", user="viscript", deadline_s=INSTALL_DEADLINE_S)
    table.add("update - <bundle: the failing update is installed", said.strip().splitlines()[-1], BROKEN in said)
    await_boot(board, boots)
    note = boot_note(board, lambda note: bool(note.get("rolled_back")), TRIAL_DEADLINE_S)
    tried = re.findall(r"SKY slot ([AB]) at", board.console())[boots:]
    ok = note.get("slot") == slot and BROKEN in note.get("rolled_back", "")
    table.add("it fails its checks: the board goes back by itself", f"{note.get('rolled_back')}; {tried}", ok)
    board.wait_ssh(BOOT_DEADLINE_S)
    told = board.ssh("update status").stdout
    table.add("and says so in the shell", told, "rolled back" in told and BROKEN in told)
    _seen(board, table)


def _seen(board: Board, table: Table) -> None:
    """A person who knows ends the light; what happened is still told."""

    def light() -> str:
        return str(json.loads(board.ssh("board --json").stdout)["pattern"])

    before = wait_for(lambda: light() == "rolled_back" or None, LIGHT_DEADLINE_S, every_s=1)
    board.ssh("update status --seen")
    after = wait_for(lambda: light() != "rolled_back" or None, LIGHT_DEADLINE_S, every_s=1)
    told = board.ssh("update status").stdout
    ok = bool(before) and bool(after) and f"last: version {BROKEN}" in told
    table.add("update status --seen ends the light, not the story", f"{light()}; {told}", ok)


def update_from_files(board: Board, table: Table, bundle: Path) -> None:
    """A bundle that somebody copied to the board, where people copy to: in the home of admin, which nobody else may
    enter, and in /tmp. Installed and not started.
    """
    slot = _slot(board)
    for user, path, command in (
        ("admin", "/home/admin/board.raucb", "viscript update"),
        ("viscript", "/tmp/board.raucb", "update"),
    ):
        board.run("scp", "-q", "-F", board.folder / "ssh", bundle, f"admin@board:{path}", timeout_s=INSTALL_DEADLINE_S)
        done = board.ssh(f"{command} {path} --no-reboot", user=user, deadline_s=INSTALL_DEADLINE_S, check=False)
        left = board.ssh(f"rm {path}; sudo ls /data/update; {FIRST}", user="admin").stdout.split()
        seen = f"{done.stdout.strip()[-90:]} {done.stderr}; slot {slot} runs, {left[-1]} is next; beside it {left[:-1]}"
        ok = done.returncode == 0 and f"version {NEWER} is in slot" in done.stdout and "incoming.raucb" not in left
        table.add(f"{user}: {command} {path}", seen, ok and left[-1] != slot)
    done = board.ssh("update /home/admin/board.raucb", check=False)
    ok = done.returncode == 1 and "'/home/admin/board.raucb' cannot be read: Permission denied" in done.stderr
    table.add("viscript may not read the home of admin, and is told so", done.stderr.strip(), ok)


def refused(board: Board, table: Table, bundle: Path, scratch: Path) -> None:
    """Bundles that must not be taken; the boot state is as before."""
    state = board.ssh("sudo /usr/lib/skywire/bin/boot-backend show", user="admin").stdout
    stranger = _resigned(board, bundle, scratch)
    damaged = scratch / "damaged.raucb"
    data = bytearray(bundle.read_bytes())
    data[data.index(ROOT_HASH)] ^= 1  # of a block that the running slot has, nothing is fetched
    damaged.write_bytes(data)
    cases = ((stranger, "signature verification failed"), (damaged, "not updated"))
    for path, words in cases:
        with BundleServer(path) as server:
            done = board.ssh(f"update {server.url}", deadline_s=INSTALL_DEADLINE_S, check=False)
        ok = done.returncode == 1 and words in done.stderr
        table.add(f"{path.stem} bundle is refused", done.stderr.strip(), ok)
    _with_login(board, table, stranger)
    with BundleServer(bundle, cut_after=FETCHED_AT_LEAST // 2) as server:
        done = board.ssh(f"update {server.url}", deadline_s=INSTALL_DEADLINE_S, check=False)
    table.add("a network that goes away is told", done.stderr.strip(), done.returncode == 1)
    after = board.ssh("sudo /usr/lib/skywire/bin/boot-backend show", user="admin").stdout
    table.add("what runs is still first", f"{state.strip()} -> {after.strip()}", after[:9] == state[:9])


def _with_login(board: Board, table: Table, stranger: Path) -> None:
    """The bundle is read with them, so that it is seen who signed it; RAUC's own log does not tell them either."""
    with BundleServer(stranger, login=f"bob:{PASSWORD}") as server:
        done = board.ssh(f"update {server.url}", deadline_s=INSTALL_DEADLINE_S, check=False)
        wrong = server.url.replace("bob", "eve")
        other = board.ssh(f"update {wrong}", deadline_s=INSTALL_DEADLINE_S, check=False)
    encoded = base64.b64encode(f"bob:{PASSWORD}".encode()).decode()
    logged = board.ssh("sudo journalctl -b | grep -cf - || true", user="admin", stdin=f"{PASSWORD}\n{encoded}\n").stdout
    kept = board.ssh("sudo cat /data/update/last.json", user="admin").stdout
    seen = f"{done.stderr.strip()}; another's: {other.stderr.strip()}; lines of the log: {logged.strip()}; {kept}"
    read = "signature verification failed" in done.stderr and "not updated" in other.stderr
    read = read and "signature" not in other.stderr
    told = logged.strip() != "0" or PASSWORD in kept + done.stderr + other.stderr
    table.add("an address with name and password: used, and not logged", seen, read and not told)


def corrupted_slot(board: Board, table: Table) -> None:
    """With the board off, a bit of the running slot's kernel flips: its three tries fail, and the boot loader takes the
    other slot. None of them is an unclean boot, since nothing ran.
    """
    slot = _slot(board)
    board.close()
    start = read_recipe().disk.slot_lbas["AB".index(slot)] * SECTOR + SCRIPT_SECTORS * SECTOR
    board.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P 0xa5 {start + (1 << 20)} 512", board.card)
    board.power_on()
    note = boot_note(board, lambda note: note.get("slot") not in (None, slot), BOOT_DEADLINE_S)
    bad = re.findall(r"SKY bad sum at [^\n]*", board.console())
    ok = note.get("slot") not in (None, slot) and bool(bad) and "did not come up" in note.get("rolled_back", "")
    table.add("a flipped bit in the kernel: the other slot takes over", f"{bad[:1]} x{len(bad)}; {note}", ok)


def unclean_boots(board: Board, table: Table) -> None:
    """Three boots in a row that the plug ends within ten minutes: the fourth is of the other slot, good once."""
    slot = _slot(board)
    seen = ""
    for _ in range(4):
        board.close()
        board.power_on()
        board.wait_console("Starting kernel", BOOT_DEADLINE_S)
        seen = re.findall(r"SKY state ([^\n]*)", board.console())[-1].strip()
        if seen.split()[-1] == "unclean":
            break
    note = boot_note(board, lambda note: note.get("slot") not in (None, slot), BOOT_DEADLINE_S)
    ok = note.get("slot") not in (None, slot) and "did not stay up" in note.get("rolled_back", "")
    table.add("three unclean boots change the slot", f"{seen}; {note}", ok)


def _slot(board: Board) -> str:
    return str(json.loads(board.ssh("cat /run/skywire/boot.json", user="admin").stdout)["slot"])


def boots_of(board: Board) -> int:
    """How often the boot loader chose a slot since power-on."""
    return board.console().count("SKY state")


def await_boot(board: Board, boots: int) -> None:
    """Until the restart that was asked for has reached the boot loader."""
    end = time.monotonic() + BOOT_DEADLINE_S
    while boots_of(board) == boots and time.monotonic() < end:
        time.sleep(0.5)


def _resigned(board: Board, bundle: Path, scratch: Path) -> Path:
    """The same slot, signed by a key that the board does not know."""
    keys = Keys(scratch / "stranger.key.pem", scratch / "stranger.cert.pem")
    make_keys(board.run, read_recipe(), keys, "Somebody else")
    folder, target = scratch / "extracted", scratch / "strange.raucb"
    own = find_keys(board.run, read_recipe(), default_cache(), None)
    board.run("rauc", "extract", f"--keyring={own.cert}", bundle, folder)
    return other_slot.sign(board.run, folder / "slot.img", NEWER, scratch, target, keys)
