"""Whom this machine asks for names: while there is a tunnel, the tunnel's resolvers alone. With systemd-resolved by a
file of its own for that (it then prefers them for all names, whatever a network's DHCP says), else by /etc/resolv.conf,
whose original lies beside it until it comes back. Where neither may be written, the kernel redirects what is asked.

What a killed client left behind, the next one or `off` sets right: both find it by the files alone.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path
from typing import Protocol

from services.kernel.errors import DoorError
from services.vpn.client import redirect, tables
from services.vpn.client.ways import Lent
from services.vpn.errors import ResolverError
from viscript.durable import sync_folder

RESOLVED = Path("/run/systemd/resolve")
DROP_IN = Path("/run/systemd/resolved.conf.d/skywire-vpn.conf")
UPLINK_CONF = RESOLVED / "resolv.conf"
"""There systemd-resolved says whom the networks themselves would have asked."""

KEPT = ".skywire-kept"
OURS = "# written by meshnet-vpn-client; the original is beside it until 'meshnet-vpn-client off'\n"
RESTART = ("systemctl", "try-restart", "systemd-resolved.service")
RESTART_WITHIN_S = 20.0


class Resolver(Protocol):
    async def use(self, lent: Lent) -> bool:
        """Whether it was another way before. Raises ResolverError."""

    async def restore(self) -> None:
        """As it was found. Raises ResolverError."""


def pick_resolver(resolv_conf: Path, *, redirects: bool = False) -> Resolver:
    """systemd-resolved's, where resolv.conf is a link to one of its files; the kernel's, where it `redirects`."""
    if redirects:
        return Redirected()
    is_resolved = resolv_conf.is_symlink() and resolv_conf.resolve().is_relative_to(RESOLVED.resolve())
    if is_resolved or DROP_IN.exists():
        return Resolved() if os.geteuid() == 0 else Redirected()
    return ResolvConf(resolv_conf) if os.access(resolv_conf.parent, os.W_OK) else Redirected()


def find_uplink_conf(resolv_conf: Path) -> Path | None:
    """A resolv.conf with the resolvers of the network outside, where there is one."""
    kept = resolv_conf.with_name(resolv_conf.name + KEPT)
    return next((path for path in (UPLINK_CONF, kept, resolv_conf) if path.exists()), None)


class Redirected:
    """By the kernel, whatever the files say."""

    def __init__(self) -> None:
        self._used: Lent | None = None

    async def use(self, lent: Lent) -> bool:
        try:
            if lent == self._used and tables.has(redirect.NAME):
                return False
            tables.run(redirect.redirect_text(lent.dns, lent))
        except DoorError as error:
            raise ResolverError(f"cannot redirect what is asked of resolvers: {error}") from None
        self._used = lent
        return True

    async def restore(self) -> None:
        self._used = None
        try:
            tables.run(redirect.drop_text())
        except DoorError as error:
            raise ResolverError(f"cannot end the redirection of resolvers: {error}") from None


class ResolvConf:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = path.with_name(path.name + KEPT)

    async def use(self, lent: Lent) -> bool:
        text = OURS + "".join(f"nameserver {resolver}\n" for resolver in lent.dns)
        try:
            if _read(self._path) == text:
                return False
            if not _read(self._path).startswith(OURS) and (self._path.exists() or self._path.is_symlink()):
                _copy(self._path, self._kept)
            _write(self._path, text)
        except OSError as error:
            raise ResolverError(
                f"cannot set '{self._path}': {error.strerror} (or leave it alone: dns: leave)"
            ) from None
        return True

    async def restore(self) -> None:
        """One that somebody has put there meanwhile stays."""
        try:
            if not _read(self._path).startswith(OURS):
                self._kept.unlink(missing_ok=True)
            elif self._kept.exists() or self._kept.is_symlink():
                _move(self._kept, self._path)
            else:
                self._path.unlink()
        except OSError as error:
            raise ResolverError(f"cannot set '{self._path}' back: {error.strerror} (see '{self._kept}')") from None


class Resolved:
    def __init__(self, drop_in: Path = DROP_IN, restart: tuple[str, ...] = RESTART) -> None:
        self._drop_in, self._restart = drop_in, restart

    async def use(self, lent: Lent) -> bool:
        text = f"[Resolve]\nDNS={' '.join(map(str, lent.dns))}\nDomains=~.\nFallbackDNS=\n"
        if _read(self._drop_in) == text:
            return False
        try:
            self._drop_in.parent.mkdir(parents=True, exist_ok=True)
            _write(self._drop_in, text)
        except OSError as error:
            raise ResolverError(f"cannot write '{self._drop_in}': {error.strerror} (run as root)") from None
        await self._restarted()
        return True

    async def restore(self) -> None:
        if self._drop_in.exists():
            self._drop_in.unlink()
            await self._restarted()

    async def _restarted(self) -> None:
        """It reads its files only at its start."""
        quiet = asyncio.subprocess.DEVNULL
        try:
            asked = await asyncio.create_subprocess_exec(*self._restart, stdin=quiet, stdout=quiet, stderr=quiet)
        except OSError as error:
            raise ResolverError(f"cannot run '{self._restart[0]}': {error.strerror}") from None
        try:
            async with asyncio.timeout(RESTART_WITHIN_S):
                code = await asked.wait()
        except TimeoutError:
            asked.kill()
            raise ResolverError(f"systemd-resolved did not start again in {RESTART_WITHIN_S:g} s") from None
        if code:
            raise ResolverError(f"systemd-resolved could not be started again: '{' '.join(self._restart)}' says {code}")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def _copy(path: Path, to: Path) -> None:
    """A link stays a link."""
    draft = to.with_name(f"{to.name}.draft")
    draft.unlink(missing_ok=True)
    shutil.copy2(path, draft, follow_symlinks=False)
    draft.replace(to)


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.skywire-draft")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.chmod(0o644)
    _move(draft, path)


def _move(draft: Path, path: Path) -> None:
    """A file that is mounted there by itself, as in a container, cannot be replaced: then it is written over."""
    try:
        draft.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.errno not in {errno.EBUSY, errno.EXDEV}:
            raise
        path.write_text(_read(draft))
        draft.unlink()
