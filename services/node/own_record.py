"""This node's own record: what it says of itself, signed, with a sequence on the card that rises with every change.

Where the card has lost the sequence, it begins at the clock's time, which no former one has reached unless the clock
is wrong; a manager that knows a higher one is outrun.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from itertools import islice

import msgspec

from services import __version__
from services.kernel.model import Endpoint
from services.keys import Identity
from services.manager.record import MAX_ENDPOINTS, NodeRecord, make_record, sign_record
from services.node.config import Config
from services.node.kept import Kept
from services.node.underlay import IpInterface, is_within, usable, write_endpoint

log = logging.getLogger(__name__)

HIGHEST = 1 << 40
_KNOWN = re.compile(r"and (\d{1,18}) is known")

_FILE = "record"


class OwnRecord:
    def __init__(self, identity: Identity, config: Config, card: Kept) -> None:
        """Raises KeptError."""
        self._identity, self._config, self._card = identity, config, card
        self.addresses: tuple[IpInterface, ...] = ()
        kept = card.read(_FILE, NodeRecord)
        if kept is not None and kept.node_id == identity.node_id:
            self.record, self.signed = kept, sign_record(identity, kept)
        else:
            self._take(self._make(max(1, int(time.time())), ()))

    def refresh(self, addresses: Iterable[IpInterface]) -> bool:
        """Whether it says something new. Raises KeptError."""
        self.addresses = tuple(addresses)
        new = self._make(self.record.sequence, self.addresses)
        if new == self.record:
            return False
        self._take(msgspec.structs.replace(new, sequence=new.sequence + 1))
        return True

    def outrun(self, refusal: str) -> bool:
        """Whether somebody refuses this node's record since a later one is known; then it is numbered above that.

        A refusal is signed by nobody: who invents one makes numbers jump, up to a bound. Raises KeptError.
        """
        found = _KNOWN.search(refusal)
        if found is None:
            return False
        known = min(int(found[1]), HIGHEST)
        self._take(msgspec.structs.replace(self.record, sequence=max(known, self.record.sequence) + 1))
        log.warning("this node's record was numbered too low: now %d", self.record.sequence)
        return True

    def session_endpoints(self) -> tuple[str, ...]:
        """Where its session socket is on the underlay, the best first."""
        own = usable(self.addresses, self._config.link_ranges)
        return tuple(write_endpoint(Endpoint(found.ip, self._config.session_port)) for found in own[:MAX_ENDPOINTS])

    def _take(self, record: NodeRecord) -> None:
        self._card.write(_FILE, record)
        self.record, self.signed = record, sign_record(self._identity, record)

    def _make(self, sequence: int, addresses: tuple[IpInterface, ...]) -> NodeRecord:
        config = self._config
        own = usable(addresses, config.link_ranges)
        told = [*config.endpoints, *(write_endpoint(Endpoint(found.ip, config.link_port)) for found in own)]
        wires = [str(found.ip) for found in addresses if config.wires and is_within(found.ip, config.wire_ranges)]
        return make_record(
            self._identity,
            sequence,
            tuple(islice(dict.fromkeys(told), MAX_ENDPOINTS)),
            __version__,
            relays=config.relays,
            session_port=config.session_port,
            wires=tuple(wires[:MAX_ENDPOINTS]),
        )
