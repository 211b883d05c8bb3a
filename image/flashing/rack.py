"""A rack of boards from nothing: the first is the manager, and the cards of the others carry one invitation to it.

No board has to be up for that: the identities are made here, one a card, so the first knows whom it admits, by name,
and the others know whom they join. The invitation's token is never spent and opens nothing to anybody else.
"""

import secrets

import msgspec

from image.flashing.checking import new_identity
from image.flashing.model import Personal
from image.run import Runner

JOIN_PORT = 7997


def numbered(personal: Personal, count: int) -> list[Personal]:
    """The same card `count` times, with numbered names."""
    return [msgspec.structs.replace(personal, name=f"{personal.name}-{number}") for number in range(1, count + 1)]


def make_rack(run: Runner, personal: Personal, count: int) -> list[Personal]:
    """With identities and roles, and the common invitation."""
    cards = numbered(personal, count)
    identities = [new_identity(run) for _ in cards]
    ids, words = [one.node_id for one in identities], [one.words for one in identities]
    token = f"{secrets.token_hex(8)}.{secrets.token_urlsafe(16)}"
    invite = f"skywire:{ids[0]}@{cards[0].name}.local:{JOIN_PORT}/{token}"
    first = msgspec.structs.replace(cards[0], identity=words[0], role="manager", admit=tuple(ids[1:]))
    return [first] + [
        msgspec.structs.replace(card, identity=own, role="member", invite=invite)
        for card, own in zip(cards[1:], words[1:], strict=True)
    ]
