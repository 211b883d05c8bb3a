"""Puts a supervisor together: which board, which pins, which checks; then hands over to `loop`.

Order matters: a light is what a person waits for, and imports cost seconds on an emulated board. So the board
file comes first, then the pins, then asyncio and the rest. What is missing is looked for again for a while,
as drivers may be modules.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from skywire_board.boards import BOARDS_PATH, Board, find_board, read_compatible
from skywire_board.config import CONFIG_PATH, read_config
from skywire_board.errors import BoardFileError, PinError

if TYPE_CHECKING:
    from skywire_board.loop import Check, Supervisor
    from skywire_board.outputs.pins import Pins

log = logging.getLogger("skywire_board")

LOOK_AGAIN_S = 1.0
LOOK_TIMES = 60

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line may change; the defaults are the card's."""

    boards: Path = BOARDS_PATH
    config: Path = CONFIG_PATH
    socket: Path = Path("/run/viscript/api.sock")
    data_fault: Path = Path("/run/skywire/data-fault")
    run: Path = Path("/run/skywire")
    state: Path = Path("/var/lib/skywire-board")
    root: Path = Path("/")
    board_socket: Path = Path("/run/skywire/board/board.sock")
    watchdog: Path = Path("/dev/watchdog0")
    systemctl: str = "systemctl"


def settle_board(options: Options) -> Board:
    """The board with the owner's overrides; wrong ones are reported and left out: the board must work."""
    board = find_board(options.boards, read_compatible())
    try:
        return read_config(board, options.config)
    except BoardFileError as error:
        log.warning("overrides are ignored: %s", error)
        return board


def wire_pins(board: Board) -> "Pins":
    """The pins of `board`; PinError when its chip cannot be had."""
    from skywire_board.outputs.pins import wire  # noqa: PLC0415  # see the module's docstring
    from skywire_board.pins.chips import open_chip  # noqa: PLC0415
    from skywire_board.pins.gpiod_factory import GpiodFactory  # noqa: PLC0415

    if board.gpio is None:
        raise PinError(f"'{board.name}' has no GPIO chip in its board file")
    return wire(board.gpio, GpiodFactory(open_chip(board.gpio.chip)))


def run(options: Options) -> None:
    """Supervise until told to stop."""
    begun_s = time.monotonic()
    board = settle_board(options)
    pins = _try_pins(board)

    import asyncio  # noqa: PLC0415  # see the module's docstring

    from skywire_board.loop import Doors, supervise  # noqa: PLC0415
    from skywire_board.outputs.early_watchdog import EarlyWatchdog  # noqa: PLC0415
    from skywire_board.outputs.units import systemctl  # noqa: PLC0415
    from skywire_board.outputs.watchdog import Watchdog, WatchdogDevice  # noqa: PLC0415

    log.info("board: %s (ready in %.1f s)", board.name, time.monotonic() - begun_s)
    door = partial(systemctl, program=options.systemctl)
    early = EarlyWatchdog(options.state)

    def arm() -> Watchdog:
        watchdog = Watchdog(WatchdogDevice(options.watchdog))
        early.keep()
        return watchdog

    if not board.watchdog:
        early.forget(lambda: WatchdogDevice(options.watchdog))
    watchdog = arm if board.watchdog else None
    doors = Doors(make_checks(options), door, board.name, options.board_socket, watchdog)
    asyncio.run(supervise(doors, partial(connect, board, pins)))


def make_checks(options: Options) -> "dict[str, Check]":
    """Every check of `checking.CHECKS`, with its places."""
    from skywire_board.checks.booted import check_boot  # noqa: PLC0415
    from skywire_board.checks.card import check_card  # noqa: PLC0415
    from skywire_board.checks.claimed import check_claim  # noqa: PLC0415
    from skywire_board.checks.clock import ClockCheck  # noqa: PLC0415
    from skywire_board.checks.data import check_data, check_setup  # noqa: PLC0415
    from skywire_board.checks.mesh import check_mesh  # noqa: PLC0415
    from skywire_board.checks.power import check_heat, check_power  # noqa: PLC0415
    from skywire_board.checks.viscript import check_viscript  # noqa: PLC0415

    run = options.run
    return {
        "boot": partial(check_boot, run / "boot.json"),
        "card": partial(check_card, options.root),
        "claim": partial(check_claim, run / "claimed"),
        "data": partial(check_data, options.data_fault),
        "heat": partial(check_heat, options.root),
        "mesh": partial(check_mesh, run / "node.sock"),
        "power": partial(check_power, options.root),
        "setup": partial(check_setup, run / "setup-fault"),
        "time": ClockCheck(options.state, options.root),
        "viscript": partial(check_viscript, options.socket),
    }


async def connect(board: Board, pins: "Pins | None", supervisor: "Supervisor") -> None:
    """Give the supervisor its lights and button, at once or when their drivers are there. Ends when cancelled."""
    import asyncio  # noqa: PLC0415

    await asyncio.gather(_connect_onboard(board, supervisor), _connect_pins(board, pins, supervisor))


async def _connect_onboard(board: Board, supervisor: "Supervisor") -> None:
    from skywire_board.outputs.lights import find_onboard  # noqa: PLC0415

    if board.onboard_led:
        light = await _look_for(lambda: find_onboard(board.onboard_led))
        if light is not None:
            supervisor.status.add(light)
        else:
            names = " or ".join(board.onboard_led)
            log.info("no on-board light: there is no %s under /sys/class/leds", names)


async def _connect_pins(board: Board, pins: "Pins | None", supervisor: "Supervisor") -> None:
    from skywire_board.inputs.button import ButtonSampler  # noqa: PLC0415

    if pins is None and board.gpio is not None:
        pins = await _look_for(lambda: _try_pins(board))
    if pins is None:
        log.info("no lights and no button on GPIO: %s", _why_no_pins(board))
        return
    for missing in pins.missing:
        log.warning("working without %s", missing)
    for lamp, light in ((supervisor.status, pins.status), (supervisor.activity, pins.activity)):
        if light is not None:
            lamp.add(light)
    if pins.button is None:
        return
    sampler = ButtonSampler(pins.button, supervisor.post_from_thread)
    sampler.start()
    try:
        await supervisor.stopped.wait()
    finally:
        sampler.stop()


async def _look_for(look: Callable[[], Found | None]) -> Found | None:
    import asyncio  # noqa: PLC0415

    for _ in range(LOOK_TIMES):
        found = look()
        if found is not None:
            return found
        await asyncio.sleep(LOOK_AGAIN_S)
    return None


def _try_pins(board: Board) -> "Pins | None":
    try:
        return wire_pins(board)
    except PinError:
        return None


def _why_no_pins(board: Board) -> str:
    try:
        wire_pins(board)
    except PinError as error:
        return str(error)
    return "found too late"
