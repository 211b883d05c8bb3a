"""Where a bundle for all boards is fetched from: addresses with a name and password, and such as are none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.updates.errors import BundleError
from services.updates.sending import send
from tests.boot.bundle_server import BundleServer

LOGIN = "bob:hush@4711"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Path]:
    """A manager's socket, on which nothing is said."""
    path = tmp_path / "manager.sock"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        yield path


def test_name_and_password_go_to_the_server_alone(tmp_path: Path, manager: Path) -> None:
    (tmp_path / "x").write_bytes(b"no bundle")
    with BundleServer(tmp_path / "x", login=LOGIN) as server:
        place = server.url.replace(LOGIN, "bob:hush%404711").replace("10.0.2.2", "localhost")
        with pytest.raises(BundleError, match="is no RAUC bundle"):
            send(place, path=manager)
        with pytest.raises(BundleError, match="HTTP Error 401"):
            send(place.replace("bob", "eve"), path=manager)


@pytest.mark.parametrize("address", ["http://[::1/x", "http://localhost:port/x"])
def test_an_address_that_is_none_is_told(address: str, manager: Path) -> None:
    with pytest.raises(BundleError, match="is no address: "):
        send(address, path=manager)
