"""RAUC, its bus and systemd, as three small programs: they refuse what those refuse. A bundle for them is a file that
begins with "hsqs-signed VERSION COMPATIBLE", and perhaps a word for how its installation ends.

    python -m tests.fakes.rauc FOLDER SOCKET      the real update door on that socket, in front of them
"""

import asyncio
import socket
import sys
from pathlib import Path

from skywire_board.update.model import BootNote
from skywire_board.update.notes import Notes
from skywire_board.update.rauc import Rauc
from skywire_board.update.server import Door

DIGEST = "98b254928e2f97a05e7e29c6027c18f165ca11228a1b6268d387d0d20514b1f1"
NOTE = BootNote("A", "B", trial=False, mesh_before=False, good=True, rolled_back="an older story", version="0.2.0+a")
SYSTEMCTL = """#!/bin/sh
echo "$1" >>"$0.log"
"""
BUSCTL = """#!/bin/sh
# InspectBundle sa{sv} SOURCE 0: a bundle is a file that begins with "hsqs-signed VERSION COMPATIBLE"
for source; do case $source in /*) break ;; esac; done
for word; do case $word in /data/*|/tmp/*) source=$word ;; http*://*) source=/${word#*://*/} ;; esac; done
printf '%s\n' "$@" >>"$0.log"
read -r signed version compatible rest <"$source"
if [ "$signed" != hsqs-signed ]; then echo "Call failed: signature verification failed: wrong key" >&2; exit 1; fi
cat <<END
{"type":"a{sv}","data":[{"update":{"type":"a{sv}","data":{"compatible":{"type":"s","data":"$compatible"},
"version":{"type":"s","data":"$version"}}},"images":{"type":"aa{sv}","data":[{"slot-class":{"type":"s","data":"system"},
"checksum":{"type":"s","data":"DIGEST"},"size":{"type":"t","data":4096}}]}}]}
END
"""
RAUC = """#!/bin/sh
for word; do case $word in http*://*) source=/${word#*://*/} ;; *) source=$word ;; esac; done
printf '%s\n' "$@" >>"$0.log"
read -r signed version compatible how <"$source"
echo "installing"; echo "  0% Installing"; echo " 40% Copying image to system.1"
case $how in
  slow) exec sleep 60 ;;
  gone) exit 2 ;;
  torn) echo "LastError: Installation error: Failed updating slot system.1: no space"; exit 1 ;;
esac
echo "100% Installing done."; echo "Installing \\`$2\\` succeeded"
"""


def put_rauc(folder: Path) -> Rauc:
    """A door to such programs, which are laid into `folder`."""
    programs = {"systemctl": SYSTEMCTL, "busctl": BUSCTL.replace("DIGEST", DIGEST), "rauc": RAUC}
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return Rauc(*(str(folder / name) for name in programs))


def put_notes(folder: Path) -> Notes:
    """Those of a board that runs 0.2.0+a in slot A."""
    (folder / "version").write_text("0.2.0+a\n")
    notes = Notes(folder / "update", folder / "boot.json", folder / "version")
    notes.write_boot(NOTE)
    return notes


def main(folder: Path, path: str) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    door = Door(put_notes(folder), put_rauc(folder), reboot=("touch", str(folder / "restarted")))
    asyncio.run(door.serve(listener, idle_s=3600))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
