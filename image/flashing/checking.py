"""Has the board's own programs judge what a card is given, before anything is written: `image` imports none of them.

Secrets lie in a folder of memory for as long as that takes, where the machine has one.
"""

import re
import sys
import tempfile
from pathlib import Path

import msgspec

from image.errors import CommandError, FlashError
from image.flashing.model import Identity
from image.recipe import HERE
from image.run import Runner

MEMORY = Path("/dev/shm")  # noqa: S108  # a folder of our own in it, mode 0700


_PLACE = re.compile(r"^skywire\.yaml:\d+: ")
"""Where in a file that the person never sees."""


def check_settings(run: Runner, text: str) -> None:
    """FlashError as the board would say it."""
    with tempfile.TemporaryDirectory(prefix="skywire-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        path = Path(folder, "skywire.yaml")
        path.touch(0o600)
        path.write_text(text)
        _ask(run, "skywire_board.setup", "check", folder)


def node_id(run: Runner, words: str) -> str:
    """The id that the words bring back. FlashError when they are wrong."""
    with tempfile.TemporaryDirectory(prefix="skywire-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        said = _ask(run, "services.node", "identity", "import", "--file", f"{folder}/seed", stdin=words.encode())
    return next(line.split()[-1] for line in said.splitlines() if line.startswith("node id"))


def new_identity(run: Runner) -> Identity:
    """One that nobody had before."""
    with tempfile.TemporaryDirectory(prefix="skywire-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        seed = f"{folder}/seed"
        told = msgspec.json.decode(_ask(run, "services.node", "identity", "new", "--file", seed, "--json"))
        words = _ask(run, "services.node", "identity", "export", "--file", seed, "--force")
    return Identity(told["node_id"], words.strip())


def _ask(run: Runner, module: str, *words: str, stdin: bytes | None = None) -> str:
    try:
        return run(
            sys.executable, "-m", module, *words, stdin=stdin, cwd=HERE.parent, env={"PYTHONPATH": str(HERE.parent)},
            timeout_s=120,
        ).decode()  # fmt: skip
    except CommandError as error:
        told = str(error).splitlines()[-1].removeprefix("error: ").removeprefix("node: ")
        raise FlashError(f"the board would refuse this: {_PLACE.sub('', told)}") from None
