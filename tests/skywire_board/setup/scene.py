"""A card with a real FAT and a folder as the board's root; what the tests of set-up share."""

import sys
from pathlib import Path

from skywire_board.boards import find_board
from skywire_board.setup import apply as setup
from skywire_board.setup.card import Card
from skywire_board.setup.programs import Identity
from tests.skywire_board.setup.fat_image import START, FatImage

INVITE = f"skywire:{'a' * 64}@192.0.2.1:7997/{'0' * 16}.{'b' * 22}"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGB0cGVybWl0dGVkLWtleS1mb3ItdGVzdHMtb25seTEy me@home"
TREE = Path(__file__).parents[3]
BOARD = find_board(TREE / "image/boards", ["raspberrypi,4-model-b"])
NODE = (sys.executable, "-m", "services.node")
WORDS = " ".join(["abandon"] * 23 + ["art"])
SEED = bytes(32)
ERRORS = b" " * 4095 + b"\n"
WHOLE = f"""name: Attic
ssh_keys: {KEY}
time_zone: Europe/Berlin
wifi:
  country: de
  ssid: my net
  password: correct horse
network:
  ethernet: {{address: 192.0.2.5/24, gateway: 192.0.2.1, dns: [192.0.2.1, '2001:db8::1']}}
role: member
admit: abababababababababababababababababababababababababababababababab
gpio: {{status_led: 5}}
onboard_led: [PWR]
watchdog: false
"""


class Scene:
    """A card, and a board's root. `apply` is what a boot does."""

    def __init__(self, folder: Path) -> None:
        self.fat, self.root = FatImage(folder), folder / "root"
        self.fat.put("skywire-error.txt", ERRORS)
        for name in ("run/skywire", "proc/sys/kernel", "usr/lib/skywire/etc", "data/identity"):
            (self.root / name).mkdir(parents=True)
        (self.root / "proc/sys/kernel/hostname").write_text("skywire\n")
        (self.root / "usr/lib/skywire/etc/hostname").write_text("skywire\n")
        (self.root / "usr/lib/skywire/etc/hosts").write_text("127.0.0.1 localhost\n")
        self.restarts = 0

    def apply(self, card: Card | None = None) -> list[str]:
        identity = Identity(self.root / "data/identity/seed", NODE, None)
        places = setup.Places(
            self.root, self.fat.folder, card or Card(self.fat.path, START), BOARD, identity, self._restarted
        )
        try:
            return setup.apply(places)
        finally:
            self.fat.remount()

    def write(self, text: str, name: str = "skywire.yaml") -> None:
        self.fat.put(name, text.encode())

    def text(self, path: str) -> str:
        return (self.root / path).read_text()

    def has(self, path: str) -> bool:
        return (self.root / path).exists()

    @property
    def report(self) -> str:
        return self.fat.get("skywire-error.txt").decode().strip()

    def _restarted(self) -> None:
        self.restarts += 1
