"""Who may join: by an invitation, by name, while somebody presses the button, or anyone. How often, too. Pure.

An invitation's text is `<id>.<secret>`; the managers keep its id, a hash of the secret, an end and a count, so what
lies in a bucket opens nothing. The count is taken down by compare-and-set: one use is never spent twice.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection

import msgspec

from services.errors import IdentityError
from services.keys import NodeId, read_node_id
from services.manager.errors import JoinError
from services.manager.limits import Limits

PAIRING_S = 120.0
MAX_CONNECTIONS = 64
TRIES_PER_S, TRIES_AT_ONCE = 1.0, 32
"""Of one address: a rack of eight may be behind it."""

ALL_PER_S, ALL_AT_ONCE = 20.0, 100

_TOKEN = re.compile(r"([0-9a-f]{16})\.([A-Za-z0-9_-]{22})")


_TEXT = re.compile(r"skywire:([0-9a-f]{64})@(\S+:\d{1,5})/(\S+)")


class Invitation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    secret_hash: str
    ends_unix_s: int
    uses_left: int


class Rules(msgspec.Struct, frozen=True):
    """`pairing_until_s` is of the monotonic clock: pairing ends with the manager, whatever the time is set to."""

    open_to_all: bool = False
    allowed: frozenset[NodeId] = frozenset()
    pairing_until_s: float = 0.0


def new_invitation(now_unix_s: int, lasts_s: int, uses: int) -> tuple[str, Invitation]:
    """The text to hand out, and what the managers keep. Raises JoinError."""
    if uses < 1 or lasts_s < 1:
        raise JoinError(f"an invitation for {uses} uses and {lasts_s} s lets nobody in")
    name, secret = secrets.token_hex(8), secrets.token_urlsafe(16)
    return f"{name}.{secret}", Invitation(name, _hash(secret), now_unix_s + lasts_s, uses)


def invitation_text(at: str, manager: NodeId, token: str) -> str:
    """One text to paste or to scan: where to join, at whom, with what. `at` is `host:port`."""
    return f"skywire:{manager}@{at}/{token}"


def read_invitation_text(text: str) -> tuple[str, NodeId, str]:
    """Where, at whom, with what token. Raises JoinError."""
    found = _TEXT.fullmatch(text.strip())
    if found is None or invitation_id(found[3]) is None:
        raise JoinError("this is no invitation: expected skywire:<manager id>@<host:port>/<token>")
    try:
        return found[2], read_node_id(found[1]), found[3]
    except IdentityError as error:
        raise JoinError(f"this is no invitation: {error}") from None


def invitation_id(token: str) -> str | None:
    """Under which the managers keep it; None is no invitation's text."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else None


def spend(invitation: Invitation | None, token: str, now_unix_s: int) -> Invitation:
    """With one use less, to be written over the one that was read. Raises JoinError; why not is not told in detail."""
    found = _TOKEN.fullmatch(token)
    if invitation is None or found is None or found[1] != invitation.id:
        raise JoinError("this invitation is not known here")
    if not hmac.compare_digest(_hash(found[2]), invitation.secret_hash):
        raise JoinError("this invitation is not known here")
    if invitation.uses_left < 1 or now_unix_s >= invitation.ends_unix_s:
        raise JoinError("this invitation is used up or has run out (ask for another: invite)")
    return msgspec.structs.replace(invitation, uses_left=invitation.uses_left - 1)


def needs_no_invitation(node_id: NodeId, rules: Rules, now_s: float) -> bool:
    return rules.open_to_all or node_id in rules.allowed or now_s < rules.pairing_until_s


def check_allowed(node_id: NodeId, token: str, rules: Rules, expelled: Collection[NodeId], now_s: float) -> bool:
    """Whether an invitation has to be spent first. Raises JoinError for who may not come at all.

    Who was expelled comes back by an invitation or by name, not through an open door.
    """
    if node_id in rules.allowed:
        return False
    if node_id in expelled and not token:
        raise JoinError(f"node '{node_id}' was expelled (ask for an invitation)")
    if not token and not needs_no_invitation(node_id, rules, now_s):
        raise JoinError("this network takes nodes by invitation (ask for one: invite; or press the manager's button)")
    return bool(token) and (node_id in expelled or not needs_no_invitation(node_id, rules, now_s))


class Doorkeeper:
    """How many may stand at the join port, and how often one address may try."""

    def __init__(self) -> None:
        self._one = Limits(TRIES_PER_S, TRIES_AT_ONCE, most=4096)
        self._all = Limits(ALL_PER_S, ALL_AT_ONCE, most=1)
        self._inside = 0

    def enter(self, address: str, now_s: float) -> bool:
        """Whether this connection is served; who entered leaves."""
        if self._inside >= MAX_CONNECTIONS or not self._one.allows(address, now_s) or not self._all.allows("", now_s):
            return False
        self._inside += 1
        return True

    def leave(self) -> None:
        self._inside -= 1


def _hash(secret: str) -> str:
    return hashlib.blake2b(secret.encode(), digest_size=16, person=b"skywire invite").hexdigest()
