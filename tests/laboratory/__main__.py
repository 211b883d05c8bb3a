"""The command line of `tests/lab`. Exit code: that of the shell or command on the first host; 1 where the network
cannot be brought up, 2 asked wrongly, 130 interrupted before it was up.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click

from tests.laboratory.errors import LabError
from tests.laboratory.lab import Lab, run_lab
from tests.laboratory.layout import MESH
from tests.laboratory.sweep import make_name
from tests.laboratory.templates import fill
from tests.laboratory.topology import known, read_topology
from viscript.errors import ViscriptError

INTERRUPTED = 130


@click.command()
@click.option("--list", "listed", is_flag=True, help="Name the topologies that there are.")
@click.option("--json", "as_json", is_flag=True, help="Say in JSON what is up; without a COMMAND, stay until Ctrl+C.")
@click.option("--keep-going", is_flag=True, help="Go on where a program does not become ready.")
@click.option("--keep", type=click.Path(path_type=Path), help="Keep the hosts' files and logs in this new folder.")
@click.argument("topology", required=False)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(
    listed: bool, as_json: bool, keep_going: bool, keep: Path | None, topology: str | None, command: tuple[str, ...]
) -> None:
    """Build a network on this machine and open a shell on its first host; it goes when the shell ends.

    TOPOLOGY is one of --list, or a YAML file. COMMAND is run on the first host in place of the shell.

    \b
    Examples:
      tests/lab skyminer                                eight boards with viscript
      tests/lab skyminer -- viscript on all status      one command
      tests/lab ./mine.yaml
    """
    if listed:
        for name, path in known().items():
            print(f"{name:<16}{read_topology(path).description}")
        return
    if topology is None:
        raise click.UsageError(f"name a topology ({', '.join(known())}) or a YAML file")
    path = known().get(topology, Path(topology))
    if not path.is_file():
        raise click.UsageError(f"no topology '{topology}' (there are {', '.join(known())}; or give a YAML file)")
    if keep and keep.exists():
        raise click.UsageError(f"'{keep}' exists already; name a new folder")
    begin = time.monotonic()
    with own_folder(keep) as folder, run_lab(read_topology(path), folder, tell=tell, keep_going=keep_going) as lab:
        seconds = time.monotonic() - begin
        if as_json and not command:
            sys.exit(stay(lab, seconds))
        if as_json:
            print(json.dumps(described(lab, seconds)), flush=True)
        else:
            print_table(lab, seconds)
        sys.exit(on_first(lab, command))


@contextlib.contextmanager
def own_folder(keep: Path | None) -> Iterator[Path]:
    """A folder whose name tells whose it is, so that a later sweep finds it."""
    if keep is not None:
        yield keep.absolute()
        return
    folder = Path(tempfile.gettempdir(), make_name(0))
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def print_table(lab: Lab, seconds: float) -> None:
    rows = [("HOST", "ADDRESSES", "SESSION ADDRESS" if lab.residents else "NAMESPACE")]
    for node in lab.network.nodes.values():
        addresses = shortened([str(port.address.ip) for port in node.ports if port.address])
        if addresses:
            own = lab.residents[node.name].address if node.name in lab.residents else ""
            rows.append((node.name, addresses, own if lab.residents else lab.namespace(node.name)))
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for row in rows:
        print(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")
    print(f"up in {seconds:.1f} s, {lab.memory_bytes() / 1e6:.0f} MB of RAM in all")
    if lab.residents:
        print(f"namespaces are {lab.namespace('HOST')}; on each host HOST.mesh is a session address")
    for note in lab.notes:
        print(f"note: {note}")
    if lab.topology.hints:
        print("\nto try:")
    for hint in lab.topology.hints:
        print(f"  {fill(hint, lab.hosts[0].facts)}")
    sys.stdout.flush()


def shortened(addresses: list[str]) -> str:
    return ", ".join(addresses if len(addresses) <= 3 else [*addresses[:2], f"{len(addresses) - 2} more"])


def described(lab: Lab, seconds: float) -> dict[str, object]:
    return {
        "name": lab.name,
        "folder": str(lab.folder),
        "warden": lab.warden_pid,
        "seconds": round(seconds, 2),
        "memory_bytes": lab.memory_bytes(),
        "notes": lab.notes,
        "nodes": [
            {
                "name": node.name,
                "role": node.role.value,
                "namespace": lab.namespace(node.name),
                "addresses": {port.device: str(port.address) for port in node.ports if port.address},
                "mesh": lab.residents[node.name].address if node.name in lab.residents else node.address(MESH),
                "id": lab.residents[node.name].node_id if node.name in lab.residents else "",
            }
            for node in lab.network.nodes.values()
        ],
        "cables": [[wire.left.node, wire.right.node] for wire in lab.network.wires],
    }


def on_first(lab: Lab, command: tuple[str, ...]) -> int:
    """Ctrl+C is for the program in front; we hear it as well, and do nothing."""
    first = lab.hosts[0]
    signal.signal(signal.SIGINT, lambda *_: None)
    if not command:
        print(f"{' '.join(lab.topology.shell)} on {first.name}; its end takes everything down", file=sys.stderr)
    words = [*first.inside(), *(command or lab.topology.shell)]
    return subprocess.run(words, env=first.environment, check=False).returncode


def stay(lab: Lab, seconds: float) -> int:
    """Until Ctrl+C or the end of the standard input, either of which is the way out for who has read the line."""
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(described(lab, seconds)), flush=True)
        sys.stdin.read()
    return 0


def end_once(number: int, _frame: object) -> None:
    """The first of these signals ends us in good order; further ones must not disturb that."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def run() -> None:
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, end_once)
    try:
        main(prog_name="tests/lab", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        print("interrupted; everything is taken down", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (LabError, ViscriptError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
