"""The boot state for people and units, and RAUC's custom boot loader backend (`get-primary`, `set-state B bad`, …).

The commands that units and RAUC run answer without click, whose import costs seconds on an emulated board.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from skywire_board.bootstate.card import change_state, read_state
from skywire_board.bootstate.codec import SLOTS, BootState, mark_bad, mark_good, put_first, read_slot
from skywire_board.errors import BoardError, BootStateError

if TYPE_CHECKING:
    from collections.abc import Callable

CARD = Path("/run/skywire/card")  # the initramfs links it to the card it booted from
CMDLINE = Path("/proc/cmdline")
HELP = """\
usage: python -m skywire_board.bootstate COMMAND [--device CARD] [--json]

  show                         the order of the slots, the tries each has left, unclean boots
  mark-good [--slot A|B]       give the running slot all its tries back; writes nothing when it has them
  clean                        forget unclean boots: the board was up long enough, or goes down in order
RAUC's boot loader backend:
  get-current                  the slot that runs
  get-primary                  the slot to be started next
  set-primary A|B              start this slot next, with three tries
  get-state A|B                good or bad
  set-state A|B good|bad       a bad slot is never started"""


class Asked:
    """The command line, taken apart: words, `--device`, `--slot`, `--json`."""

    def __init__(self, args: list[str]) -> None:
        self.words: list[str] = []
        self.device, self.slot, self.json = Path(os.environ.get("SKY_CARD") or CARD), "", False
        rest = iter(args)
        for arg in rest:
            name, _, value = arg.partition("=")
            if name == "--json":
                self.json = True
            elif name == "--device":
                self.device = Path(value or next(rest, ""))
            elif name == "--slot":
                self.slot = value or next(rest, "")
                self.words += [] if self.slot in SLOTS else ["?"]
            else:
                self.words.append(arg)

    @property
    def running(self) -> str:
        """The slot that runs, as the kernel was told, or as `--slot` says."""
        slot = self.slot or read_slot(CMDLINE.read_text())
        if slot not in SLOTS:
            raise BootStateError(f"sky.slot of the kernel command line is '{slot}', expected A or B (say --slot)")
        return slot


def main() -> None:
    """Entry point. Exit codes: 0 done, 1 failed, 2 asked wrongly."""
    asked = Asked(sys.argv[1:])
    answer = _command(asked)
    if answer is None:
        helped = asked.words[:1] in ([], ["help"], ["--help"], ["-h"])
        print(HELP, file=sys.stdout if helped else sys.stderr)
        sys.exit(0 if helped else 2)
    try:
        print(answer(), end="")
    except BoardError as error:
        print(f"bootstate: {error}", file=sys.stderr)
        sys.exit(1)


def _command(asked: Asked) -> "Callable[[], str] | None":
    plain = {
        "show": lambda: _show(asked),
        "mark-good": lambda: _mark(asked),
        "clean": lambda: _clean(asked),
        "get-current": lambda: f"{asked.running}\n",
        "get-primary": lambda: f"{_state(asked).order[0]}\n",
    }
    match asked.words:
        case [word]:
            return plain.get(word)
        case ["get-state", "A" | "B" as slot]:
            return lambda: "good\n" if _state(asked).left(slot) else "bad\n"
        case ["set-primary", "A" | "B" as slot]:
            return lambda: _change(asked, lambda state: put_first(state, slot))
        case ["set-state", "A" | "B" as slot, "good" | "bad" as word]:
            mark = mark_good if word == "good" else mark_bad
            return lambda: _change(asked, lambda state: mark(state, slot))
    return None


def _state(asked: Asked) -> BootState:
    return read_state(asked.device).state or BootState()


def _change(asked: Asked, change: "Callable[[BootState], BootState]") -> str:
    change_state(asked.device, change)
    return ""


def _show(asked: Asked) -> str:
    state = read_state(asked.device).state
    if asked.json:
        return json.dumps(None if state is None else asdict(state)) + "\n"
    return "no boot state yet: the boot loader tries A\n" if state is None else f"{_text(state)}\n"


def _mark(asked: Asked) -> str:
    slot = asked.running
    state, written = change_state(asked.device, lambda state: mark_good(state, slot))
    if asked.json:
        return json.dumps({**asdict(state), "written": written}) + "\n"
    return f"slot {slot} is good{'' if written else ' already'}; {_text(state)}\n"


def _clean(asked: Asked) -> str:
    state, written = change_state(asked.device, lambda state: replace(state, unclean=0))
    return f"{'unclean boots are forgotten' if written else 'no unclean boots'}; {_text(state)}\n"


def _text(state: BootState) -> str:
    unclean = f", {state.unclean} unclean boots" if state.unclean else ""
    return f"order {state.order}, tries left A {state.a_left}, B {state.b_left}{unclean} (write {state.seq})"


if __name__ == "__main__":
    main()
