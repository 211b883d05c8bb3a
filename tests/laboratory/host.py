"""One host of a lab: a network namespace with a host name, a /run and an /etc of its own, kept by a process that does
nothing; every program enters where that one is. Process ids are the machine's, so that any tool can look at them.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.laboratory import commands, machine
from tests.laboratory.errors import CommandError, LabError
from tests.laboratory.job import Job
from tests.laboratory.layout import MESH, Network, Node
from tests.laboratory.model import By, Program, Ready
from tests.laboratory.residents import Resident, settle
from tests.laboratory.sweep import end_all, inside
from tests.laboratory.templates import Facts, fill

TREE = Path(__file__).parents[2]
HOLD = """
set -e
for at in all default; do
  echo 0 >/proc/sys/net/ipv6/conf/$at/accept_dad
  echo 1 >/proc/sys/net/ipv6/conf/$at/keep_addr_on_down
done
echo "$3" >/proc/sys/net/ipv4/ip_forward
echo "$1" >/proc/sys/kernel/hostname
mount -t tmpfs -o mode=755 lab /run
mkdir "$2/etc"
mount -t tmpfs lab "$2/etc"
mkdir "$2/etc/own" "$2/etc/work"
if ! mount -t overlay -o "lowerdir=/etc,upperdir=$2/etc/own,workdir=$2/etc/work" lab /etc 2>"$2/etc/why"; then
  cp -a /etc/. "$2/etc/own"
  mount --bind "$2/etc/own" /etc
fi
for file in hosts resolv.conf; do
  if [ -e /etc/$file ]; then mount --bind "$2/$file" /etc/$file; fi
done
echo ready
exec cat
"""
LEFT_OUT = ("SIGNAL_", "VISCRIPT_", "XDG_", "NOTIFY_", "WATCHDOG_")
HOLD_DEADLINE_S = 30
MACHINE = {"tree": str(TREE), "python": sys.executable}
Socket = socket.socket


class Host:
    """Routers are hosts too. `folder` is its own; `environment` is what its programs are started with. `residents` are
    those of all hosts, where the mesh is the real one.
    """

    def __init__(
        self,
        node: Node,
        place: str,
        network: Network,
        folder: Path,
        bin_folder: Path,
        residents: Mapping[str, Resident] | None = None,
    ) -> None:
        self.node = node
        self.name = node.name
        self.namespace = place
        self.folder = folder
        self.jobs: list[Job] = []
        folder.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
        self.environment = kept | {
            "PATH": f"{bin_folder}:{kept.get('PATH', os.defpath)}",
            "HOME": str(folder),
            "PYTHONPATH": str(TREE),
        }
        hosts = {name: other for name, other in network.nodes.items() if any(port.address for port in other.ports)}
        known = residents or {}
        self.facts = Facts(
            host=self.name,
            places={"namespace": place, "dir": str(folder), "lab": str(folder.parent), **MACHINE},
            addresses={name: other.address() for name, other in hosts.items()},
            mesh={name: resident.address for name, resident in known.items()}
            or {name: other.address(MESH) for name, other in hosts.items() if other.address(MESH)},
            ids={name: resident.node_id for name, resident in known.items()},
        )
        if self.name in known:
            settle(known[self.name], folder)
        self._keeper: subprocess.Popen[bytes] | None = None
        self._programs: list[Program] = []
        self._sockets: list[Socket] = []

    # being there

    def open(self) -> None:
        """Starts the keeper; `wait_open` waits for it, so that many can start at once."""
        names = {**self.facts.addresses, **{f"{name}.{MESH}": at for name, at in self.facts.mesh.items()}}
        file = self.folder / "hosts"
        file.write_text("127.0.0.1 localhost\n::1 localhost\n" + "".join(f"{at} {n}\n" for n, at in names.items()))
        (self.folder / "resolv.conf").touch()
        forward = "1" if self.node.role.value == "router" else "0"
        words = ["ip", "netns", "exec", self.namespace, "unshare", "--uts", "sh", "-c", HOLD]
        words += ["sh", self.name, str(self.folder), forward]
        self._keeper = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )

    def wait_open(self) -> None:
        assert self._keeper is not None
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"ready\n":
            _, errors = self._keeper.communicate(timeout=HOLD_DEADLINE_S)
            raise CommandError(f"host '{self.name}' cannot be made: {errors.decode().strip()}")

    def close(self) -> None:
        """After the lab has ended all processes: collects them."""
        for made in self._sockets:
            made.close()
        for job in self.jobs:
            job.collect()
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.communicate(timeout=HOLD_DEADLINE_S)

    # programs

    def inside(self, folder: Path | None = None) -> list[str]:
        """What a command begins with to run on this host."""
        assert self._keeper is not None
        entered = [f"--target={self._keeper.pid}", "--net", "--mount", "--uts", f"--wdns={folder or self.folder}"]
        return ["nsenter", *entered]

    def run(
        self, argv: Sequence[str], *, timeout_s: float = 60, check: bool = True, given: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        """To its end. Unless `check` is off, another exit code than 0 raises CommandError."""
        done = subprocess.run(
            [*self.inside(), *argv],
            env=self.environment | env,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        if check and done.returncode != 0:
            said = f"{done.stdout}{done.stderr}".strip()
            raise CommandError(f"'{' '.join(argv)}' on '{self.name}' ended with {done.returncode}: {said}")
        return done

    def start(
        self, argv: Sequence[str], *, name: str = "", ready: Ready | None = None, env: Mapping[str, str] | None = None
    ) -> Job:
        """In the background, ended with the lab; returns when it is ready."""
        begun, bell = self._begin(argv, name or Path(argv[0]).name, ready or Ready(), env or {})
        self._await(begun, bell, ready or Ready())
        return begun

    @property
    def session_address(self) -> str:
        return self.facts.mesh[self.name]

    @property
    def node_id(self) -> str:
        return self.facts.ids[self.name]

    def outside(self, path: str) -> Path:
        """Where a path of this host's own /run is seen from outside of it."""
        assert self._keeper is not None
        return Path(f"/proc/{self._keeper.pid}/root{path}")

    def write(self, files: Mapping[str, str]) -> None:
        """Into its folder, with the words of `templates` filled in."""
        for path, text in files.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(fill(text, self.facts))

    def begin(self, program: Program) -> tuple[Job, Socket | None]:
        """Starts a program of the topology file without waiting; `finish` waits for it."""
        self.write(program.files)
        if program not in self._programs:
            self._programs.append(program)
        env = {key: fill(value, self.facts) for key, value in program.env.items()}
        return self._begin([fill(word, self.facts) for word in program.argv], program.name, program.ready, env)

    def finish(self, program: Program, begun: tuple[Job, Socket | None]) -> None:
        ready = Ready(program.ready.by, fill(program.ready.what, self.facts), program.ready.within_s)
        self._await(*begun, ready)

    def job(self, name: str) -> Job:
        """The last one of that name."""
        found = [job for job in self.jobs if job.name == name]
        if not found:
            raise LabError(f"no program '{name}' was started on '{self.name}' (there: {[j.name for j in self.jobs]})")
        return found[-1]

    def pids(self) -> list[int]:
        """All that runs here, but for the keeper."""
        assert self._keeper is not None
        return [pid for pid in inside([self.namespace]) if pid != self._keeper.pid]

    def socket(self, family: int, kind: int, protocol: int = 0) -> Socket:
        """A socket of the caller's own, in this host's network; closed with the lab, if not before."""
        made = machine.open_socket(self.namespace, family, kind, protocol)
        self._sockets = [*(known for known in self._sockets if known.fileno() != -1), made]
        return made

    # power

    def power_off(self) -> None:
        """As if the plug were pulled: no process lives, no cable answers, nothing is left in the kernel."""
        assert self._keeper is not None
        machine.ip("".join(commands.pull_out(port) for port in self.node.ports), self.namespace)
        end_all([self.namespace], spare=[self._keeper.pid])
        for job in self.jobs:
            job.kill(signal.SIGKILL)
        own = {"lo", *(port.device for port in self.node.ports)}
        foreign = [device for device in machine.links(self.namespace) if device not in own]
        machine.ip("".join(f"link delete dev {device}\n" for device in foreign), self.namespace)
        machine.nft("".join(f"delete table {table}\n" for table in self._tables()), self.namespace)
        self.run(["find", "/run", "-mindepth", "1", "-delete"])

    def power_on(self) -> None:
        """With the programs of the topology file; returns when they are ready."""
        machine.ip(commands.bring_up(self.node), self.namespace)
        for program in self._programs:
            self.finish(program, self.begin(program))

    def _tables(self) -> list[str]:
        """Of nftables, but for those of the laboratory."""
        listed = self.run(["nft", "list", "tables"]).stdout.splitlines()
        return [line.removeprefix("table ") for line in listed if line.split()[-1] not in {"lab", "lab-nat"}]

    def _begin(self, argv: Sequence[str], name: str, ready: Ready, env: Mapping[str, str]) -> tuple[Job, Socket | None]:
        bell, full = None, self.environment | dict(env)
        if ready.by is By.NOTIFY:
            bell = self.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            bell.bind(f"\0lab-{len(self.jobs)}-{name}")
            full["NOTIFY_SOCKET"] = f"@lab-{len(self.jobs)}-{name}"
        job = Job(name, [*self.inside(), *argv], full, self.folder / f"{name}.log")
        self.jobs.append(job)
        return job, bell

    def _await(self, job: Job, bell: Socket | None, ready: Ready) -> None:
        try:
            job.wait_ready(ready, bell, self.socket)
        finally:
            if bell is not None:
                bell.close()
