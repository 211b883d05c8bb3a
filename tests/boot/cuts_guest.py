"""Runs on the board, as root: has things kept and says each as soon as the program that keeps it has answered; and
looks what is there of them. Prints a line for each. Only the board's own libraries are there.

    keep KIND FIRST COUNT    `kept KIND WORD` per answer: names (the node's file), vouched (the manager's bus),
                             messages (the messenger's database)
    look                     one JSON object: what a board holds of identity, names and messages
"""

import hashlib
import json
import os
import pwd
import socket
import sys
import time
from pathlib import Path
from typing import Any

NODE, MANAGER, MESSENGER = (
    "/run/skywire/mesh/node.sock", "/run/skywire/mesh/manager.sock", "/run/skywire/messenger/messenger.sock"
)  # fmt: skip
DEADLINE_S = 300.0


class Line:
    """A connection to a service, JSON lines both ways, as a user of the board and of its socket's group."""

    def __init__(self, path: str, user: str = "root") -> None:
        end = time.monotonic() + DEADLINE_S
        while not Path(path).exists() and time.monotonic() < end:
            time.sleep(0.2)
        os.setegid(Path(path).stat().st_gid)
        os.seteuid(pwd.getpwnam(user).pw_uid)
        try:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(DEADLINE_S)
            while self._socket.connect_ex(path):
                if time.monotonic() > end:
                    raise SystemExit(f"nobody answers at '{path}'")
                time.sleep(0.2)
        finally:
            os.seteuid(0)
            os.setegid(0)
        self._file = self._socket.makefile("rw")

    def ask(self, do: str, **words: object) -> dict[str, Any]:
        self._file.write(json.dumps({"do": do, **words}) + "\n")
        self._file.flush()
        answer: dict[str, Any] = json.loads(self._file.readline() or '{"is": "away"}')
        return answer


def node_id() -> str:
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        found = Line(NODE).ask("status").get("node_id")
        if found:
            return str(found)
        time.sleep(0.2)
    raise SystemExit("the node has no id")


def keep(kind: str, first: int, count: int) -> None:
    own = node_id()
    line = {
        "names": lambda: Line(NODE, "skywire"),
        "vouched": lambda: Line(MANAGER, "skywire"),
        "messages": lambda: Line(MESSENGER, "skywire"),
    }[kind]()
    for number in range(first, first + count):
        word = f"{kind}-{number}-kept"
        answer: dict[str, Any] = {}
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            match kind:
                case "names":
                    answer = line.ask("pet", name=word, node_id=own)
                case "vouched":
                    answer = line.ask("name", name=word, node_id=own)
                case _:
                    answer = line.ask("post_notice", about=own, topic="peering", text=word)
            if answer.get("is") != "refused":
                break
            time.sleep(0.5)
        said = f"kept {kind} {word}" if answer.get("is") in {"pets", "done", "sent"} else f"refused {kind} {answer}"
        print(said, flush=True)


def look() -> None:
    pets = [pet["name"] for pet in Line(NODE, "skywire").ask("pets").get("pets", ())]
    fault = Path("/run/skywire/data-fault")
    found = {
        "machine": Path("/etc/machine-id").read_text(),
        "seed": hashlib.sha256(Path("/data/identity/seed").read_bytes()).hexdigest(),
        "names": pets,
        "host": socket.gethostname(),
        "fault": fault.read_text() if fault.exists() else "",
        "fsck": Path("/run/skywire/fsck.log").read_text() if Path("/run/skywire/fsck.log").exists() else "",
        "node": node_id(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    if sys.argv[1] == "keep":
        keep(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        look()
