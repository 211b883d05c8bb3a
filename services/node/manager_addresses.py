"""Where the managers' hosts are on the underlay: by address, by name, and where a name does not resolve, where it last
led, so neither a dead resolver nor a VPN's kill switch, which lets no question out, locks a node out of its mesh.
What was found is kept on the card, and written only when it changes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import suppress
from ipaddress import ip_address

from services.node.errors import AwayError, KeptError
from services.node.kept import Kept

log = logging.getLogger(__name__)

RESOLVED_WITHIN_S = 4.0
MAX_HOSTS, MAX_OF_ONE = 16, 8

_FILE = "manager-addresses"


class ManagerAddresses:
    def __init__(self, card: Kept) -> None:
        self._card = card
        self._known = card.read(_FILE, dict[str, tuple[str, ...]]) or {}

    async def find(self, host: str) -> list[str]:
        """Raises AwayError."""
        with suppress(ValueError):
            return [str(ip_address(host))]
        try:
            async with asyncio.timeout(RESOLVED_WITHIN_S):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as error:
            if known := self._known.get(host):
                log.info("the name of manager '%s' does not resolve: it was at %s", host, ", ".join(known))
                return list(known)
            raise AwayError(f"the name of manager '{host}' is not known: {_reason(error)}") from None
        addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
        self._keep(host, tuple(sorted(addresses[:MAX_OF_ONE])))
        return addresses

    def _keep(self, host: str, addresses: tuple[str, ...]) -> None:
        if self._known.get(host) == addresses:
            return
        others = [(name, known) for name, known in self._known.items() if name != host]
        self._known = dict([*others[-MAX_HOSTS + 1 :], (host, addresses)])
        try:
            self._card.write(_FILE, self._known)
        except KeptError as error:
            log.warning("where '%s' is would not outlive a restart: %s", host, error)


def _reason(error: OSError | TimeoutError) -> str:
    if isinstance(error, TimeoutError) and not error.errno:
        return "no answer"
    if isinstance(error, socket.gaierror):
        return error.strerror or "no answer"
    return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
