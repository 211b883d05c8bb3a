"""The door to systemd's units and to power-off: the only place that starts a process."""

import asyncio

from skywire_board.errors import BoardError
from skywire_board.model import Action, MarkGood, PowerOff, RestartViscript, StartUnit, StartViscript

VISCRIPT_UNIT = "viscript.service"
MARK_GOOD_UNIT = "skywire-mark-good.service"
SYSTEMCTL = "systemctl"
DEADLINE_S = 30.0


def words_of(action: Action) -> tuple[str, ...]:
    """What systemctl is asked with. Nothing waits for a unit to be there."""
    match action:
        case PowerOff():
            return ("poweroff",)
        case RestartViscript():
            return ("restart", "--no-block", VISCRIPT_UNIT)
        case StartViscript():
            return ("start", "--no-block", VISCRIPT_UNIT)
        case MarkGood():
            return ("start", "--no-block", MARK_GOOD_UNIT)
        case StartUnit(unit):
            return ("start", "--no-block", unit.value)


async def systemctl(words: tuple[str, ...], program: str = SYSTEMCTL, deadline_s: float = DEADLINE_S) -> None:
    """Run `systemctl words…`; BoardError with its last line when it fails or overruns the deadline."""
    what = f"{program} {' '.join(words)}"
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise BoardError(f"cannot run '{what}': {error.strerror}") from error
    try:
        async with asyncio.timeout(deadline_s):
            _, said = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise BoardError(f"'{what}' took over {deadline_s:.0f} s") from None
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise BoardError(f"'{what}' failed with {process.returncode}: {last or 'no message'}")
