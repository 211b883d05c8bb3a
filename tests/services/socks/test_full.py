"""All connections taken: whoever comes then is told so in the way that he speaks, and the operator once."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from tests.services.socks.stage import (
    ALL_LOOPBACK,
    GREETING,
    WITHIN_S,
    ask,
    client_words,
    run_echo,
    run_program,
    server_words,
    take_all,
    tunnel,
)

FULL = 8
LIMITS = f"limits: {{connections: {FULL}}}\n"


def say(port: int, data: bytes) -> bytes:
    """All that is answered."""
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as near:
        near.sendall(data)
        return take_all(near)


@pytest.mark.parametrize("which", ["server", "client"])
def test_who_is_too_many_is_told(which: str, tmp_path: Path) -> None:
    server_limits, client_limits = (LIMITS, "") if which == "server" else ("", LIMITS)
    client_settings = f'listen: "127.0.0.1:0"\n{client_limits}'
    with (
        run_echo() as echo,
        run_program(server_words(tmp_path, ALL_LOOPBACK + server_limits), tmp_path / "server") as server,
        run_program(client_words(tmp_path, server, client_settings), tmp_path / "client") as client,
    ):
        full = server if which == "server" else client
        held = [tunnel(full.port, ("127.0.0.1", echo)) for _ in range(FULL)]
        assert [say(full.port, GREETING) for _ in range(3)] == [b"\5\xff"] * 3
        assert say(full.port, b"nonsense" if which == "server" else b"\0") == b""
        http = say(client.port, f"CONNECT 127.0.0.1:{echo} HTTP/1.1\r\n\r\n".encode())
        assert http.startswith(b"HTTP/1.1 502 " if which == "server" else b"HTTP/1.1 503 "), http
        assert full.said.count(f"all {FULL} connections are taken") == 1
        if which == "server":
            assert "takes nobody more" in client.said
        for end in held:
            end.close()
        until = time.monotonic() + WITHIN_S
        while time.monotonic() < until and say(full.port, GREETING + b"\5\2\0\1" + bytes(6))[1:2] != b"\0":
            pass
        with socket.create_connection(("127.0.0.1", full.port), WITHIN_S) as near:
            assert ask(near, 1, ("127.0.0.1", echo))[1] == 0
