"""Power cuts of a recorded session: a card as a cut would have left it, looked at from outside, and booted.

What must hold after each: the data partition's journal is replayed and nothing else is wrong, the boot partition's file
system is as it was, and all that was said to be kept before the cut is there.
"""

import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from image.emulator.board import Board
from image.errors import CommandError, EmulatorError
from image.recipe import SECTOR, read_recipe
from image.run import Runner
from tests.boot.card import boot_states
from tests.boot.chain import run_program, send_program
from tests.boot.record import GUEST, Part, Promise, Session
from tests.boot.writes import Cut, WriteLog

BOOT_DEADLINE_S = 900
WRITTEN = ("skywire.yaml", "skywire-error.txt")
"""Of the boot partition: secrets are overwritten in the first, errors written into the second."""

CORRECTED = 4
"""e2fsck's exit code from which on something was left uncorrected; the board's own limit."""


@dataclass(frozen=True, slots=True)
class Found:
    """A cut and what was wrong after it; nothing, as it should be."""

    part: str
    cut: Cut
    due: tuple[Promise, ...]
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.part}, {self.cut}: {'; '.join(self.wrong) or f'{len(self.due)} promises kept'}"


class Cutter:
    """Makes cards of one session. `scratch` gets big files; each is removed after its look."""

    def __init__(self, run: Runner, session: Session, scratch: Path, seed: int) -> None:
        self._run, self._session, self._scratch = run, session, scratch
        self._dice = random.Random(seed)
        self._log = WriteLog(session.log)
        self.base = scratch / "base.img"
        scratch.mkdir(parents=True, exist_ok=True)
        run("qemu-img", "convert", "-O", "raw", session.folder / "base.qcow2", self.base)

    def moments(self, part: Part, count: int) -> list[int]:
        """Requests after which to cut: half anywhere in the part, half right behind something that was promised."""
        begin, end = self._log.count_at(part.begin), self._log.count_at(part.end)
        acknowledged = [self._log.count_at(one.size) for one in self._session.promises if one.part == part.name]
        anywhere = [self._dice.randint(begin, end) for _ in range(count)]
        behind = [min(end, self._dice.choice(acknowledged) + self._dice.randrange(3)) for _ in acknowledged[:count]]
        return [*anywhere[: count - count // 2], *(behind + anywhere)[: count // 2]]

    def look(self, part: Part, moment: int, *, whole: bool = False) -> tuple[Found, Path]:
        """A cut, looked at from outside. The card stays; only a `whole` one can be booted."""
        card = self._scratch / "cut.img"
        card.unlink(missing_ok=True)
        if whole:
            self._run("cp", "--sparse=always", self.base, card)
        else:
            with self.base.open("rb") as base, card.open("wb") as target:
                target.write(base.read(1 << 20))
                target.truncate(self.base.stat().st_size)
        cut = self._log.cut(moment, self._dice, card)
        due = [one for one in self._session.promises if self._log.count_at(one.size) <= moment]
        wrong = self._wrong(card, due)
        if whole and (strange := self._strange_sectors(card)):
            wrong.append(f"{strange} sectors of the boot partition changed that are not of {' or '.join(WRITTEN)}")
        return Found(part.name, cut, tuple(due), tuple(wrong)), card

    def _strange_sectors(self, card: Path) -> int:
        """Of the boot partition only the contents of two files may change, where they are."""
        disk, allowed = read_recipe().disk, set[bytes]()
        place = f"{self.base}@@{disk.fat_lba * SECTOR}"
        for name in WRITTEN:
            text = self._run("mtype", "-i", place, f"::{name}")
            allowed |= {text[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, len(text), SECTOR)}
        with self.base.open("rb") as before, card.open("rb") as after:
            for file in (before, after):
                file.seek(disk.fat_lba * SECTOR)
            old, new = before.read(disk.fat_mib << 20), after.read(disk.fat_mib << 20)
        if old == new:
            return 0
        changed = (at for at in range(0, len(old), SECTOR) if old[at : at + SECTOR] != new[at : at + SECTOR])
        return sum(old[at : at + SECTOR] not in allowed for at in changed)

    def _wrong(self, card: Path, due: Sequence[Promise]) -> list[str]:
        data = data_offset(card)
        if data is None:
            return [f"no data partition, but {len(due)} promises"] if due else []
        partition = take_data(card, data, self._scratch / "data.img")
        if (said := mend(partition)) is not None:
            return [f"e2fsck cannot mend it: {said[-300:]}"]
        wrong = [f"slot {one.word} is not first" for one in due if one.how == "slot" and not is_first(card, one.word)]
        try:
            self._run("e2fsck", "-f", "-n", partition)
        except CommandError as error:
            wrong.append(f"not clean: {error}")
        with Contents(partition, self._scratch / "contents") as contents:
            kept = (one for one in due if one.how != "slot")
            wrong += [f"'{one.word}' of {one.path} is lost" for one in kept if not contents.holds(one)]
        return wrong


def mend(partition: Path) -> str | None:
    """As the board does at boot (image/initramfs/mount-data); what e2fsck said where it could not."""
    said = ""
    for words in ((), ("-b", "32768", "-B", "4096")):
        done = subprocess.run(["e2fsck", "-p", *words, partition], capture_output=True, text=True, check=False)
        if done.returncode < CORRECTED:
            return None
        said += done.stdout + done.stderr
    return said


def take_data(card: Path, offset: int, target: Path) -> Path:
    """The data partition as a file of its own, holes left out (e2fsck loses an offset when it opens a card again)."""
    target.unlink(missing_ok=True)
    with card.open("rb") as source, target.open("wb") as file:
        size = source.seek(0, os.SEEK_END)
        file.truncate(size - offset)
        start = offset
        while start < size:
            try:
                start = os.lseek(source.fileno(), start, os.SEEK_DATA)
            except OSError:  # nothing but a hole from here on
                break
            end = os.lseek(source.fileno(), start, os.SEEK_HOLE)
            while start < end:
                start += os.copy_file_range(source.fileno(), file.fileno(), end - start, start, start - offset)
    return target


def is_first(card: Path, slot: str) -> bool:
    states = boot_states(card)
    return bool(states) and states[-1]["SKY_ORDER"].startswith(slot)


def data_offset(card: Path) -> int | None:
    """Where the data partition begins, in bytes; None while it is not yet made (its type says so)."""
    with card.open("rb") as file:
        table = file.read(SECTOR)[446 + 3 * 16 :][:16]
    if table[4] != 0x83:
        return None
    return int.from_bytes(table[8:12], "little") * SECTOR


class Contents:
    """Files of a data partition that nobody has mounted."""

    def __init__(self, partition: Path, folder: Path) -> None:
        self._device, self._folder = partition, folder
        self._taken: dict[str, Path] = {}

    def __enter__(self) -> "Contents":
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def holds(self, promise: Promise) -> bool:
        place = self._take(promise.path)
        match promise.how:
            case "digest":
                return place.is_file() and hashlib.sha256(place.read_bytes()).hexdigest() == promise.word
            case "text":
                return place.is_file() and promise.word in place.read_text(errors="replace").replace("\n", " ")
            case "below":
                word = promise.word.encode()
                return any(word in path.read_bytes() for path in place.rglob("*") if path.is_file())
            case "message":
                return promise.word in self._messages(place)
            case _:
                raise ValueError(f"nothing is promised as '{promise.how}'")

    def _take(self, path: str) -> Path:
        if path not in self._taken:
            target = self._folder / str(len(self._taken))
            target.mkdir()
            subprocess.run(
                ["debugfs", "-R", f"rdump {path} {target}", self._device], capture_output=True, check=False, timeout=60
            )
            self._taken[path] = target / Path(path).name
        return self._taken[path]

    @staticmethod
    def _messages(folder: Path) -> set[str]:
        if not (folder / "messages.db").exists():
            return set()
        with sqlite3.connect(folder / "messages.db") as database:
            return {row[0] for row in database.execute("SELECT text FROM messages")}


def boot_cut(card: Path, session: Session, found: Found, folder: Path) -> tuple[str, tuple[str, ...]]:
    """Boots the cut card: how long it took, and what is wrong then."""
    folder.mkdir(parents=True)
    for name in ("key", "key.pub"):
        shutil.copy(session.folder / "board" / name, folder / name)
    with Board("virt", card, folder, login=False) as board:
        try:
            board.wait_ssh(BOOT_DEADLINE_S, "admin", "systemctl is-active viscript && sudo test -s /data/identity/seed")
        except EmulatorError as error:
            return "it did not come up", (str(error),)
        seconds = board.seconds
        send_program(board, GUEST)
        seen = run_program(board, GUEST, "look")
        key = board.run.text("ssh-keyscan", "-t", "ed25519", "-p", str(board.port), "127.0.0.1")
    held = {
        "/etc/ssh/host_keys/ssh_host_ed25519_key.pub": key,
        "/etc/machine-id": seen["machine"],
        "/identity/seed": seen["seed"],
        "/mesh/node/pets.yaml": " ".join(seen["names"]),
        "/setup/etc/hostname": seen["host"],
    }
    lost = [f"'{one.word}' of {one.path}" for one in found.due if one.path in held and one.word not in held[one.path]]
    wrong = [f"after the boot lost: {', '.join(lost)}"] if lost else []
    if seen["fault"]:
        wrong.append(f"fault: {seen['fault']}")
    return f"up after {seconds:.0f} s", tuple(wrong)
