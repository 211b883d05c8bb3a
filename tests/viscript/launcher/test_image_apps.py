"""Applications that come with the image: what they alone may have, and what a person may still set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pyroute2
import pytest

from tests.viscript.launcher.backends import run_starter
from tests.viscript.launcher.test_starter import ask
from viscript.errors import ConfigError, UsageError
from viscript.launcher.config import load_config, load_image
from viscript.launcher.deploy import add_entry
from viscript.launcher.model import App, Restart
from viscript.launcher.starter.argv import SANDBOX, Streams, make_run_argv
from viscript.signal.model import Address

ROOT = Path(__file__).parents[3]
OVERLAY = ROOT / "rootfs_overlay"
IMAGE = """
apps:
  node: {path: bin/node, user: skywire, capabilities: [CAP_NET_ADMIN], writable: [/data/x, /run/x], autostart: true}
  manager: {path: bin/manager, user: skywire, after: [node], memory_max: 256M}
"""
NODE = App(
    "node", "bin/node", user="skywire", capabilities=("CAP_NET_ADMIN",), writable=("/data/x", "/run/x"), autostart=True
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.yaml"
    path.write_text(IMAGE)
    return path


def configured(tmp_path: Path, image: Path, text: str) -> dict[str, App]:
    (tmp_path / "config.yaml").write_text(text)
    return load_config(tmp_path / "config.yaml", image).apps


def test_they_are_there_whatever_a_person_configures(tmp_path: Path, image: Path) -> None:
    apps = configured(tmp_path, image, "apps: {mine: {path: bin/mine, after: [node]}}")
    assert list(apps) == ["node", "manager", "mine"]
    assert apps["node"] == NODE
    assert list(load_config(tmp_path / "no such file", image).apps) == ["node", "manager", "apptracker"]


def test_a_person_sets_otherwise_what_is_no_power(tmp_path: Path, image: Path) -> None:
    apps = configured(tmp_path, image, "apps: {node: {autostart: false, restart: always, default_args: [x]}}")
    changes = {"autostart": False, "restart": Restart.ALWAYS, "default_args": ("x",)}
    assert apps["node"] == msgspec.structs.replace(NODE, **changes)
    assert apps["manager"] == load_image(image)["manager"]


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("node: {path: bin/other}", "node.path"),
        ("node: {user: admin}", "node.user"),
        ("node: {writable: [/data/more]}", "node.writable"),
        ("manager: {capabilities: [CAP_NET_ADMIN]}", "manager.capabilities"),
        ("mine: {path: bin/mine, capabilities: [CAP_NET_RAW]}", "mine.capabilities"),
        ("mine: {path: bin/mine, writable: [/data/mine]}", "mine.writable"),
    ],
)
def test_powers_are_the_images_alone(tmp_path: Path, image: Path, entry: str, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"config.yaml:1: key 'apps.{key}': expected it left out: the image alone"):
        configured(tmp_path, image, f"apps: {{{entry}}}")
    (tmp_path / "config.yaml").write_text("apps: {}")
    (tmp_path / "apps.d").mkdir()
    (tmp_path / "apps.d" / "x.yaml").write_text(f"apps: {{{entry}}}")
    with pytest.raises(ConfigError, match=rf"x.yaml:1: key 'apps.{key}': expected it left out"):
        load_config(tmp_path / "config.yaml", image)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ("capabilities: [CAP_SYS_ADMIN]", "a list of CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_NET_RAW"),
        ("capabilities: CAP_NET_ADMIN", "a list"),
        ("writable: [/etc]", "'/etc' is none"),
        ("writable: [/data/../etc]", "'/data/../etc' is none"),
        ('writable: ["/data/a b"]', "'/data/a b' is none"),
        ("writable: [data/a]", "'data/a' is none"),
    ],
)
def test_not_even_the_image_gives_everything(tmp_path: Path, image: Path, values: str, reason: str) -> None:
    image.write_text(f"apps:\n  node:\n    path: bin/node\n    {values}\n")
    with pytest.raises(ConfigError, match=rf"image.yaml:4: .*{reason}"):
        load_config(tmp_path / "config.yaml", image)


def test_an_image_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing.yaml: the image's applications are missing"):
        load_config(tmp_path / "config.yaml", tmp_path / "nothing.yaml")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (App("node", "bin/node"), "'node' comes with this machine's image"),
        (App("node-2", "bin/node"), "runs as user 'skywire' here"),
        (App("mine", "bin/mine", capabilities=("CAP_NET_ADMIN",)), "'capabilities' cannot be deployed"),
        (App("mine", "bin/mine", writable=("/data/x",)), "'writable' cannot be deployed"),
    ],
)
def test_none_of_it_is_deployed(tmp_path: Path, image: Path, entry: App, reason: str) -> None:
    (tmp_path / "config.yaml").write_text("apps: {mine: {path: bin/mine}}")
    known = load_config(tmp_path / "config.yaml", image)
    with pytest.raises(UsageError, match=reason):
        add_entry(tmp_path, entry.name, entry, known)
    assert not (tmp_path / "apps.d").exists()


def run_lines(app: App) -> dict[str, str]:
    argv = make_run_argv(app, 2, (), Path("/p"), Address("127.0.0.1", 7999), Streams(Path("/run/out")))
    prefix = "--property="
    lines = [word.removeprefix(prefix) for word in argv if word.startswith(prefix)]
    assert len({line.partition("=")[0] for line in lines}) == len(lines), "systemd adds some of them up"
    return dict(line.split("=", 1) for line in lines)


def test_a_capability_opens_netlink_and_no_other_wall() -> None:
    usual, given = run_lines(App("a", "a")), run_lines(NODE)
    assert usual["CapabilityBoundingSet"] == ""
    assert usual["RestrictAddressFamilies"] == "AF_UNIX AF_INET AF_INET6"
    assert given["CapabilityBoundingSet"] == given["AmbientCapabilities"] == "CAP_NET_ADMIN"
    assert given["RestrictAddressFamilies"] == "AF_UNIX AF_INET AF_INET6 AF_NETLINK"
    assert given["ReadWritePaths"] == "/data/x /run/x"
    assert given["User"] == "skywire"
    assert "DynamicUser" not in given
    for line in SANDBOX:
        name, _, value = line.partition("=")
        assert usual[name] == given[name] == value


def test_the_starter_reads_the_image_and_trusts_no_one_elses(tmp_path: Path, image: Path) -> None:
    image.write_text(IMAGE.replace("bin/node", "/bin/sleep").replace("user: skywire, ", "default_args: ['60'], "))
    with run_starter(tmp_path, "apps: {}", image=image) as path:
        image.chmod(0o666)
        refused = ask(path, b'{"do":"start","app":"node","id":2,"args":["60"]}\n')
        assert "image.yaml: others can write it" in str(refused["error"])
        image.chmod(0o644)
        (unit,) = ask(path, b'{"do":"start","app":"node","id":2,"args":["60"]}\n')["units"]
        assert unit["name"] == "node"
        ask(path, b'{"do":"stop","id":2,"signal":"KILL"}\n')


def test_process_groups_have_no_image(tmp_path: Path, image: Path) -> None:
    words = ["headless", "--state-dir", str(tmp_path / "state"), "--image", str(image)]
    done = subprocess.run(
        [sys.executable, "-m", "viscript", *words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "say --backend unit" in done.stderr


SERVICES = ["meshnet-vpn-server", "meshnet-vpn-client", "meshnet-socks-server", "meshnet-socks-client"]
SERVICES += ["meshnet-messenger"]


def boards_apps() -> dict[str, App]:
    return load_image(OVERLAY / "usr/lib/skywire/apps.yaml")


def overlay_lines(path: str) -> list[list[str]]:
    lines = (OVERLAY / path).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def test_the_boards_apps_have_users_folders_and_few_powers() -> None:
    apps = boards_apps()
    assert list(apps) == ["node", "manager", "mesh", "network", *SERVICES]
    users = {name: app.user for name, app in apps.items()}
    assert {users[name] for name in ("node", "manager", "mesh", "network")} == {"skywire"}
    assert [users[name] for name in SERVICES] == [*["skywire-vpn"] * 2, *["skywire-socks"] * 2, "skywire-messenger"]
    powers = {name: app.capabilities for name, app in apps.items() if app.capabilities}
    assert set(powers) == {"node", "meshnet-vpn-server", "meshnet-vpn-client"}
    assert set(powers.values()) == {("CAP_NET_ADMIN",)}
    made = {words[1] for words in overlay_lines("usr/lib/sysusers.d/skywire.conf") if words[0] == "u"}
    assert set(users.values()) <= made
    folders = {words[1]: words[3] for words in overlay_lines("usr/lib/tmpfiles.d/skywire.conf") if words[0] == "d"}
    for app in apps.values():
        for path in app.writable:
            assert path.startswith("/proc/sys/net/") or folders[path] == app.user


def test_no_service_starts_by_itself_and_each_takes_the_images_settings_then_a_persons() -> None:
    apps = boards_apps()
    assert {name for name, app in apps.items() if app.autostart} == {"node", "manager"}
    for name in SERVICES:
        file = f"{name.removeprefix('meshnet-')}.yaml"
        assert apps[name].default_args == (
            *("run", "--defaults", f"/usr/lib/skywire/{file}", "--config", f"/etc/skywire/{file}"),
        )
        assert (OVERLAY / "usr/lib/skywire" / file).is_file()


def test_a_vpn_client_that_was_told_to_be_off_stays_off() -> None:
    """It ends by itself then, well."""
    assert boards_apps()["meshnet-vpn-client"].restart is Restart.ON_FAILURE


def test_nobody_is_in_a_group_without_need() -> None:
    members = {(words[1], words[2]) for words in overlay_lines("usr/lib/sysusers.d/skywire.conf") if words[0] == "m"}
    messages = {(user, "skywire-messages") for user in ("skywire-messenger", "skywire", "viscript")}
    board = {(user, "skywire-board") for user in ("admin", "skywire", "viscript", "viscriptd")}
    assert members == messages | board


FORWARD = """
from services.kernel import rules
from services.kernel.machine import Machine
from services.kernel.model import FIRST_VNI, Forwarding, Link, LinkKind, Vxlan
from ipaddress import ip_address
import os
wire = Vxlan(FIRST_VNI, ip_address("127.0.0.1"), ip_address("127.0.0.2"))
facts = [
    rules.fixed(rules.Settings(rules.Host.BOARD)), Link("sky-w1", LinkKind.VXLAN, 1400, wire), Forwarding("sky-w1")
]
report = Machine.open().bring({fact.key: fact for fact in facts})
powers = [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapBnd"))]
print(os.getuid(), *powers, len(report.done), report.failed)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to give powers away")
def test_the_kernel_door_opens_with_that_one_capability_and_no_root() -> None:
    """Interfaces, nftables and network sysctls, in a network namespace of its own.

    What Python reads is shown to that user on other paths: the tree and the libraries may be in folders of root's.
    """
    one = "-all,+net_admin"
    powers = [f"--{kind}={one}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    user = ["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--no-new-privs"]
    shown = {"tree": ROOT, "python": Path(sys.base_prefix), "libraries": Path(pyroute2.__file__).parents[1]}
    mounts = [f"mkdir /mnt/{name} && mount --bind '{path}' /mnt/{name}" for name, path in shown.items()]
    python = Path("/mnt/python", Path(sys.executable).resolve().relative_to(Path(sys.base_prefix).resolve()))
    unshare = ["unshare", "--net", "--mount"]
    script = " && ".join(["mount -t tmpfs -o mode=755 none /mnt", *mounts, 'exec "$@"'])
    done = subprocess.run(
        [*unshare, "sh", "-c", script, "sh", "setpriv", *user, *powers, str(python), "-B", "-c", FORWARD],
        cwd="/",
        env={**os.environ, "PYTHONPATH": "/mnt/tree:/mnt/libraries", "LD_LIBRARY_PATH": "/mnt/python/lib"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split(maxsplit=3)[1:] == ["0000000000001000", "0000000000001000", "3 ()\n"], done.stderr
