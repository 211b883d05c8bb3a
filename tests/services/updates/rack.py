"""A rack in the laboratory whose hosts have an update door: the real node, manager and NATS, and boards that reboot by
losing power, whenever their door says so.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import SubprocessError

from services.updates.api_words import GetUpdate, Update
from tests.laboratory.errors import LabError
from tests.laboratory.topology import parse_topology
from tests.mesh.world import World, run_world
from tests.services.updates.bundles import make_bundle, make_key

RACK = """
description: boards on one switch, with an update door each; the first has the manager, the last is no member
hosts: [m, a, b, c, stranger]
switches: {{rack: {{subnet: 192.168.1.0/24, members: ["*"]}}}}
programs:
  door:
    hosts: [m, a, b, c]
    argv: ["${{python}}", -m, tests.fakes.update_door, "${{dir}}/door", "{keyring}"]
    ready: {{line: ready}}
mesh: {{managers: [m], links: [192.168.1.0/24], apart: [stranger], plain: true}}
"""
BOARDS = ("a", "b", "c", "m")
ROLLED_WITHIN_S = 90.0


class Rack:
    """`went` are the boards that restarted, in order; `down` how many were down together at most since `forget`."""

    def __init__(self, world: World, folder: Path, pair: tuple[Path, Path]) -> None:
        self.world, self.folder, self.pair = world, folder, pair
        self.went: list[str] = []
        self.down = 0
        self._dark: set[str] = set()
        self._turn = threading.Lock()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(name,)) for name in BOARDS]
        self.troubles: list[str] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def forget(self) -> None:
        self.went, self.down = [], 0

    # boards

    def door(self, name: str) -> Path:
        return self.world.host(name).folder / "door"

    def version(self, name: str) -> str:
        slots = json.loads((self.door(name) / "slots.json").read_text())
        return str(slots[slots["slot"]])

    def _watch(self, name: str) -> None:
        """A reboot is a power cut, and power again."""
        wanted = self.door(name) / "reboot"
        while not self._ending.wait(0.05):
            if not wanted.exists():
                continue
            with self._turn:
                self._dark.add(name)
                self.down = max(self.down, len(self._dark))
            wanted.unlink()
            try:
                self.world.host(name).power_off()
                self.world.host(name).power_on()
            except (LabError, OSError, SubprocessError) as error:
                self.troubles.append(f"{name}: {error}")
            with self._turn:
                self._dark.discard(name)
                self.went.append(name)

    # updates

    def bundle(self, version: str, pair: tuple[Path, Path] | None = None, size: int = 1_500_000) -> Path:
        return make_bundle(self.folder / f"{version}.raucb", version, pair or self.pair, size)

    def command(self, *words: str, check: bool = True) -> str:
        done = self.world.host("m").run(["manager", "update", *words], check=check)
        return (done.stdout + done.stderr).strip()

    def update(self) -> Update:
        return self.world.ask_manager(GetUpdate(), Update)

    def stages(self) -> dict[str, str]:
        return {self.world.name(row.node_id): row.stage for row in self.update().boards}

    def wait_for(self, is_so: Callable[[Update], object], what: str) -> float:
        begin = time.monotonic()
        try:
            self.world.wait(lambda: is_so(self.update()), what, ROLLED_WITHIN_S, 0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}; last: {self.stages()}; {self.troubles}") from None
        return time.monotonic() - begin

    def wait_course(self, course: str) -> float:
        return self.wait_for(lambda update: update.course == course, f"the update is {course}")

    def wait_known(self, *names: str) -> None:
        """Until the manager knows the version of each board, and hears it."""
        wanted = {self.world.id(name) for name in names or BOARDS}
        self.wait_for(
            lambda update: wanted <= {row.node_id for row in update.boards if row.version and row.is_here},
            "the manager knows what the boards run",
        )


@contextlib.contextmanager
def run_rack(scratch: Path) -> Iterator[Rack]:
    scratch.mkdir(parents=True, exist_ok=True)
    pair = make_key(scratch)
    topology = parse_topology(RACK.format(keyring=pair[1]), "rack.py")
    with run_world(topology, scratch / "lab") as world:
        rack = Rack(world, scratch, pair)
        rack.start()
        try:
            rack.wait_known()
            yield rack
        finally:
            rack.stop()
