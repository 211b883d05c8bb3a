"""A program that blocks and is a member of the system from a thread; tests start it as a child and ask it things."""

import contextlib
import logging
import os
import signal as process_signals
import sys
import threading
from pathlib import Path

from viscript.signal import SignalClient

calls = list[int]()


class Odd:
    def __str__(self) -> str:
        return "odd \udcff"


def fail() -> None:
    raise ValueError("no such tide")


def hang(*_: str) -> None:
    threading.Event().wait()


def count_and_hang() -> None:
    calls.append(1)
    hang()


def fork_and_die() -> None:
    """Leave a child behind that holds our connection open and answers nothing, until the test closes its pipe."""
    if os.fork():
        os.kill(os.getpid(), process_signals.SIGKILL)
    os.read(int(os.environ["MEMBER_LEASH"]), 1)
    os._exit(0)


def main() -> None:
    signal = SignalClient()
    signal.status = "keeping the light"
    fields = {
        "lamps": lambda: 2,
        "lit": lambda: True,
        "angle": lambda: 1.5,
        "odd": Odd,
        "big": lambda: 2**70,
        "calls": lambda: len(calls),
    }
    for name, read in {**fields, "endless": lambda: float("inf"), "tide": fail, "stuck": count_and_hang}.items():
        signal.add_field(name, read)
    signal.add_command("echo", lambda *args: " ".join(args)).add_command("hang", hang).add_command("fail", fail)
    signal.add_command("long", lambda: "\n" * 50_000).add_command("orphan", fork_and_die).add_command("nothing", list)
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        signal.on_shutdown(lambda: path.write_text("saved"))
        if path.name == "stuck":
            signal.on_shutdown(hang, deadline_s=0.2)
    logging.basicConfig()
    signal.run_in_thread()
    with contextlib.suppress(KeyboardInterrupt):
        hang()


if __name__ == "__main__":
    main()
