"""Real clients through the real programs: curl in all its ways, and the library python-socks."""

import asyncio
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from python_socks import ProxyError, ProxyType
from python_socks.async_.asyncio import Proxy as AsyncioProxy
from python_socks.sync import Proxy

from tests.services.socks.stage import (
    ALL_LOOPBACK,
    Program,
    run_program,
    run_web,
    server_words,
    take_all,
)

DIALLING = "127.0.0.1"


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    with run_web() as port:
        yield port


def curl(*words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "20", "--noproxy", "", *words], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_curl_socks5(proxy: Program, web: int) -> None:
    assert curl("--socks5", f"{DIALLING}:{proxy.port}", f"http://127.0.0.1:{web}/a") == (0, "/a by 127.0.0.1\n", "")


def test_curl_resolves_at_the_server(proxy: Program, web: int) -> None:
    assert curl("--socks5-hostname", f"{DIALLING}:{proxy.port}", f"http://localhost:{web}/b")[:2] == (
        0,
        "/b by 127.0.0.1\n",
    )


def test_curl_ipv6(proxy: Program) -> None:
    with run_web("::1") as web:
        assert curl("--socks5", f"{DIALLING}:{proxy.port}", f"http://[::1]:{web}/c")[:2] == (0, "/c by ::1\n")


def test_curl_by_http_connect(pair: tuple[Program, Program], web: int) -> None:
    address = f"http://{DIALLING}:{pair[1].port}"
    assert curl("-p", "--proxy", address, f"http://127.0.0.1:{web}/d")[:2] == (0, "/d by 127.0.0.1\n")
    code, _, said = curl("-p", "--proxy", address, "http://10.1.2.3:80/")
    assert (code, "response 403" in said) == (56, True)
    assert curl("--proxy", address, f"http://127.0.0.1:{web}/", "-o", "/dev/null", "-w", "%{http_code}")[1] == "405"


@pytest.mark.parametrize(
    ("target", "reply"),
    [("http://127.0.0.1:1/", 5), ("http://10.1.2.3/", 2), ("http://169.254.169.254/", 2), ("http://[fd53::1]/", 2)],
)
def test_curl_is_told_why(proxy: Program, target: str, reply: int) -> None:
    code, _, said = curl("--socks5", f"{DIALLING}:{proxy.port}", target)
    assert (code, f"({reply})" in said) == (97, True), said


def test_curl_is_told_of_unknown_names(proxy: Program) -> None:
    code, _, said = curl("--socks5-hostname", f"{DIALLING}:{proxy.port}", "http://nobody.invalid/")
    assert code == 97
    assert "(4)" in said or "(1)" in said  # 1 where the machine has no resolver at all


def test_python_socks(proxy: Program, web: int) -> None:
    with Proxy(ProxyType.SOCKS5, DIALLING, proxy.port).connect("127.0.0.1", web, timeout=20) as end:
        assert fetch(end) == b"/e by 127.0.0.1\n"
    with pytest.raises(ProxyError, match="refused"):
        Proxy(ProxyType.SOCKS5, DIALLING, proxy.port).connect("127.0.0.1", 1, timeout=20)


def test_python_socks_in_asyncio_by_name(proxy: Program, web: int) -> None:
    async def work() -> socket.socket:
        proxied = AsyncioProxy(ProxyType.SOCKS5, DIALLING, proxy.port, rdns=True)
        return await proxied.connect("localhost", web, timeout=20)

    with asyncio.run(work()) as end:
        end.settimeout(20)
        assert fetch(end) == b"/e by 127.0.0.1\n"


def test_python_socks_by_http(pair: tuple[Program, Program], web: int) -> None:
    with Proxy(ProxyType.HTTP, DIALLING, pair[1].port).connect("localhost", web, timeout=20) as end:
        assert fetch(end) == b"/e by 127.0.0.1\n"


def fetch(end: socket.socket) -> bytes:
    end.sendall(b"GET /e HTTP/1.0\r\n\r\n")
    return take_all(end).partition(b"\r\n\r\n")[2]


def test_name_and_password(tmp_path: Path, web: int) -> None:
    users = tmp_path / "users"
    users.write_text("# of the house\nann:secret:with colon\nbob:b\n")
    users.chmod(0o600)
    words = server_words(tmp_path, f"{ALL_LOOPBACK}users: {users}\n")
    with run_program(words, tmp_path / "log") as server:
        where, target = f"{DIALLING}:{server.port}", f"http://127.0.0.1:{web}/f"
        right = curl("--socks5", where, "--proxy-user", "ann:secret:with colon", target)
        assert right[:2] == (0, "/f by 127.0.0.1\n")
        assert curl("--socks5", where, "--proxy-user", "ann:b", target)[0] == 97
        assert curl("--socks5", where, target)[0] == 97
        assert server.said.count("wrong name or password") == 1
