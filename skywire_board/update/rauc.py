"""The door to RAUC: its service over D-Bus, by its own program and systemd's. Takes no decisions.

`rauc.service` holds the powers that writing a slot takes, and runs only while this door has it open: whoever ends the
unit ends the installation, and the slot that was being written is bad already. RAUC logs addresses, so a login goes
to it as a header; of those it logs too, its unit keeps none (LogFilterPatterns).
"""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import msgspec

from skywire_board.errors import UpdateError
from skywire_board.logins import split_login
from skywire_board.update.model import Bundle

UNIT = "rauc.service"
PEER = ("de.pengutronix.rauc", "/", "de.pengutronix.rauc.Installer")
START_WITHIN_S = 60.0
INSPECT_WITHIN_S = 120.0
INSTALL_WITHIN_S = 3600.0
PROGRESS = re.compile(r"^\s*(\d+)% (.+)$")
NO_REASON = "RAUC ended in the middle (did the network go away? See: journalctl -u rauc)"
"""Seen where the network went while RAUC read the bundle's index: its program ended with 2 and said nothing."""

LAST_ERROR = re.compile(r"LastError: (.+)")


class Rauc:
    """RAUC's service, started and stopped. `systemctl`, `busctl` and `rauc` are programs to call."""

    def __init__(self, systemctl: str = "systemctl", busctl: str = "busctl", rauc: str = "rauc") -> None:
        self._systemctl, self._busctl, self._rauc = systemctl, busctl, rauc

    async def start(self) -> None:
        """Back when the service answers on the bus."""
        await self._call(START_WITHIN_S, self._systemctl, "start", UNIT)

    async def stop(self) -> None:
        """Ends the service and whatever it was doing."""
        await self._call(START_WITHIN_S, self._systemctl, "stop", UNIT)

    async def inspect(self, source: str) -> Bundle:
        """What a bundle says of itself, if its signature is right; UpdateError with RAUC's own reason."""
        bare, header = split_login(source)
        options = ("1", "http-headers", "as", "1", header) if header else ("0",)
        words = (self._busctl, "--json=short", "--timeout=120", "call", *PEER, "InspectBundle", "sa{sv}", bare)
        said = await self._call(INSPECT_WITHIN_S, *words, *options)
        return read_bundle(said)

    async def install(self, source: str, tell: Callable[[int, str], None]) -> None:
        """Writes the other slot and makes it the first; `tell` hears of percents. UpdateError with RAUC's reason."""
        bare, header = split_login(source)
        process = await asyncio.create_subprocess_exec(
            self._rauc, "install", *([f"--http-header={header}"] if header else []), bare,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        why = ""
        try:
            async with asyncio.timeout(INSTALL_WITHIN_S):
                async for line in process.stdout:
                    text = line.decode(errors="replace").rstrip()
                    if found := PROGRESS.match(text):
                        tell(int(found[1]), found[2])
                    elif found := LAST_ERROR.search(text):
                        why = found[1]
                await process.wait()
        except TimeoutError:
            raise UpdateError(f"the installation took over {INSTALL_WITHIN_S / 60:.0f} minutes") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise UpdateError(why or NO_REASON)

    async def _call(self, within_s: float, *words: str) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            raise UpdateError(f"cannot run '{words[0]}': {error.strerror}") from error
        try:
            async with asyncio.timeout(within_s):
                out, err = await process.communicate()
        except TimeoutError:
            raise UpdateError(f"'{' '.join(words[:2])}' took over {within_s:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            text = err.decode(errors="replace").strip().rpartition("\n")[2]
            raise UpdateError(text.removeprefix("Call failed: ") or f"'{words[0]}' ended with {process.returncode}")
        return out


def read_bundle(said: bytes) -> Bundle:
    """RAUC's answer to InspectBundle as busctl prints it: {"type":"a{sv}","data":[…]}, variants as type and data."""
    try:
        told = _plain(msgspec.json.decode(said)["data"][0])
        image = told["images"][0]
        update = told["update"]
        return Bundle(update.get("version", ""), update["compatible"], image["checksum"], int(image["size"]))
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise UpdateError(f"RAUC told of a bundle in words that are not known here ({error!r})") from error


def _plain(word: Any) -> Any:
    """D-Bus variants without their types."""
    if isinstance(word, dict):
        if set(word) == {"type", "data"}:
            return _plain(word["data"])
        return {key: _plain(value) for key, value in word.items()}
    return [_plain(value) for value in word] if isinstance(word, list) else word
