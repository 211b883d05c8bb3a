"""A board's update door without a board: the real words on a real socket, two slots that are lines in a file, and the
real rules: a bundle is fetched by ranges, in pieces, as RAUC streams one; its signature is checked by OpenSSL against
the board's own key before a slot is touched; an older version is refused; who hangs up stops it.

    python -m tests.fakes.update_door FOLDER KEYRING [VERSION]      each start of it is a boot

FOLDER is the card: `slots.json`, and orders to the fake as files: `falls-back` (the next trial fails), `is-slow`
(seconds between pieces). A wanted reboot is the file `reboot`; whoever runs the board pulls the plug then.
"""

import http.client
import json
import os
import socketserver
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from skywire_board.update import words

RUN = Path(os.environ.get("FAKE_DOOR_RUN", "/run/skywire"))
PIECE = 128 << 10
TRIAL_S = 0.3


class Card:
    def __init__(self, folder: Path, keyring: Path, version: str) -> None:
        self.folder, self.keyring = folder, keyring
        self.file = folder / "slots.json"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.file.exists():
            self.write({"slot": "A", "A": version, "B": "", "next": "", "rolled_back": ""})
        self.busy = threading.Lock()
        self.trial = False

    def read(self) -> dict[str, str]:
        return dict(json.loads(self.file.read_text()))

    def write(self, slots: dict[str, str]) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(slots))
        new.replace(self.file)

    def boot(self) -> None:
        """Into what was installed, on trial; or back, where the trial fails."""
        slots = self.read()
        wanted, slots["next"] = slots["next"], ""
        if wanted and (self.folder / "falls-back").exists():
            why = "was taken back: viscript did not answer"
            slots["rolled_back"] = f"version {slots[wanted]} in slot {wanted} {why}"
            (self.folder / "falls-back").unlink()
        elif wanted:
            slots["slot"], self.trial = wanted, True
        self.write(slots)
        self.tell()
        if self.trial:
            threading.Timer(TRIAL_S, self.mark_good).start()

    def mark_good(self) -> None:
        self.trial = False
        self.tell()

    def tell(self) -> None:
        slots = self.read()
        facts = {
            "slot": slots["slot"],
            "other": other(slots["slot"]),
            "trial": self.trial,
            "mesh_before": True,
            "good": not self.trial,
            "rolled_back": slots["rolled_back"],
            "version": slots[slots["slot"]],
        }
        new = RUN / ".boot.json.new"
        new.write_text(json.dumps(facts))
        new.replace(RUN / "boot.json")


class RefusedError(Exception):
    pass


def other(slot: str) -> str:
    return "B" if slot == "A" else "A"


class Fetcher:
    """Ranges over one connection, which is kept."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise RefusedError(f"'{url}' cannot be streamed")
        self.path, self.fetched = parts.path, 0
        self.line = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
        head, whole = self._get("bytes=0-3")
        if head != b"hsqs":
            raise RefusedError("this is no bundle")
        self.size = int(whole.rpartition("/")[2])

    def read(self, start: int, stop: int) -> bytes:
        data, _ = self._get(f"bytes={start}-{stop - 1}")
        if len(data) != stop - start:
            raise RefusedError(f"the server sent {len(data)} bytes of {stop - start}")
        self.fetched += len(data)
        return data

    def _get(self, wanted: str) -> tuple[bytes, str]:
        try:
            self.line.request("GET", self.path, headers={"Range": wanted, "User-Agent": "RAUC/1.13"})
            reply = self.line.getresponse()
            data = reply.read()
        except (OSError, http.client.HTTPException):
            self.line.close()  # the manager may have been started anew: curl asks again, too
            time.sleep(0.5)
            self.line.request("GET", self.path, headers={"Range": wanted, "User-Agent": "RAUC/1.13"})
            reply = self.line.getresponse()
            data = reply.read()
        if reply.status != 206:
            raise RefusedError(f"the server answers {reply.status}: {data.decode(errors='replace').strip()}")
        return data, reply.headers["Content-Range"]


def read_manifest(card: Card, bundle: Fetcher) -> str:
    """The version, of a bundle that is signed by the right key."""
    length = int.from_bytes(bundle.read(bundle.size - 8, bundle.size), "big")
    signature = bundle.read(bundle.size - 8 - length, bundle.size - 8)
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-binary", "-CAfile", str(card.keyring)]
    done = subprocess.run([*command, "-purpose", "any"], input=signature, capture_output=True, check=False, timeout=30)
    if done.returncode != 0:
        raise RefusedError("the bundle is signed by a key that this board does not know (build it with your own key)")
    lines = dict(line.split("=", 1) for line in done.stdout.decode().splitlines() if "=" in line)
    return lines["version"]


class Visit(socketserver.StreamRequestHandler):
    server: "Server"

    def handle(self) -> None:
        request = words.read_request(self.rfile.readline(words.MAX_LINE))
        card = self.server.card
        match request:
            case words.Install(source):
                self._install(card, source, older=request.older)
            case words.AskStatus():
                slots = card.read()
                here = slots["slot"]
                self.say(words.Status(slots[here], here, other(here), card.trial, rolled_back=slots["rolled_back"]))
            case words.Reboot():
                self.say(words.Rebooting())
                (card.folder / "reboot").touch()

    def say(self, answer: words.Answer) -> None:
        self.wfile.write(words.line(answer))

    def _install(self, card: Card, source: str, *, older: bool) -> None:
        if not card.busy.acquire(blocking=False):
            self.say(words.Refused("an installation is under way"))
            return
        try:
            version, slot = self._fill(card, source, older=older)
            self.say(words.Installed(version, slot))
        except (RefusedError, OSError, http.client.HTTPException) as error:
            self.say(words.Refused(f"{error}"))
        finally:
            card.busy.release()

    def _fill(self, card: Card, source: str, *, older: bool) -> tuple[str, str]:
        slots = card.read()
        bundle = Fetcher(source)
        version = read_manifest(card, bundle)
        if not older and version < slots[slots["slot"]]:
            raise RefusedError(f"version '{version}' is older than '{slots[slots['slot']]}' (update --older)")
        slots |= {"rolled_back": "", "next": ""}
        card.write(slots)
        card.tell()
        slow = card.folder / "is-slow"
        for start in range(0, bundle.size, PIECE):
            bundle.read(start, min(start + PIECE, bundle.size))
            self.say(words.Progress(100 * start // bundle.size, f"writing slot {other(slots['slot'])}"))
            if slow.exists():
                time.sleep(float(slow.read_text()))
        slots["next"] = other(slots["slot"])
        slots[slots["next"]] = version
        card.write(slots)
        return version, slots["next"]


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    card: Card


def main(folder: str, keyring: str, version: str = "1.0.0") -> None:
    (RUN / "update").mkdir(parents=True, exist_ok=True)
    card = Card(Path(folder), Path(keyring), version)
    card.boot()
    socket = RUN / "update/update.sock"
    socket.unlink(missing_ok=True)
    with Server(str(socket), Visit) as server:
        server.card = card
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
