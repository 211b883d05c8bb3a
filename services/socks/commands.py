"""What `meshnet-socks-client` and `meshnet-socks-server` share: the errors they expect, and a life in a room."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from services.app.commands import Commands, log_to_stderr

if TYPE_CHECKING:
    from services.socks.room.loop import Room
    from viscript.signal import SignalClient


class SocksCommands(Commands):
    def expected(self) -> tuple[type[Exception], ...]:
        from services.app.errors import AppError  # noqa: PLC0415 (here as below: when it is needed)
        from services.errors import SettingsError  # noqa: PLC0415
        from services.node.errors import NodeError  # noqa: PLC0415
        from services.socks.errors import SocksError  # noqa: PLC0415
        from viscript.signal.errors import SignalError  # noqa: PLC0415

        return (SettingsError, SocksError, AppError, NodeError, SignalError)


def live(serve: Callable[[Room, SignalClient], Coroutine[Any, Any, None]]) -> None:
    from services.app.program import serve as live  # noqa: PLC0415
    from services.socks.room.loop import run  # noqa: PLC0415

    log_to_stderr()
    run(lambda room: live(lambda signal: serve(room, signal)))
