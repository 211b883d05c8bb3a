"""messenger.yaml as words. Everything has a default: without a file it is the messenger of the node on this machine.

card: …/skywire/messenger         messages, files and the key: what must outlive a reboot
socket: …/messenger.sock          its API; `group: NAME` may ask there, besides its own user and root
node: …/node.sock                 the node's API, where it is not the usual one
port: 4444                        at the session address
open_to: []                       node ids and cluster:<manager id> who may write here; none means anyone
policy: {}                        of routes to others; {hops_at_least: 2} shows them no address of this board's
strangers: allow                  refuse: only contacts, and whom this node wrote to
mailboxes: true                   lay what waits for others into their mailboxes, where they told of one
keep_messages: 200000             the oldest go first
keep_days: 0                      0: whatever their age
files_quota_bytes: 2000000000     files of others that are kept, and own that wait
note_users: {topic: [user, …]}    who may say and take notes of a topic, besides root and the messenger's own user
"""

from __future__ import annotations

import grp
import pwd
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.manager.routes.policy import Policy
from services.messenger.places import own_socket, usual_config, usual_folder
from services.settings_file import load_settings

PORT = 4444
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class User(str):
    """A user of this machine, by name or number."""

    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> User:
        try:
            if not text.isdecimal():
                pwd.getpwnam(text)
        except KeyError:
            raise ValueError(f"there is no user '{text[:40]}' here") from None
        return cls(text)

    @property
    def uid(self) -> int:
        return int(self) if self.isdecimal() else pwd.getpwnam(self).pw_uid


class Group(str):
    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> Group:
        try:
            grp.getgrnam(text)
        except KeyError:
            raise ValueError(f"there is no group '{text[:40]}' here") from None
        return cls(text)

    @property
    def gid(self) -> int:
        return grp.getgrnam(self).gr_gid


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    card: Path = msgspec.field(default_factory=usual_folder)
    socket: Path = msgspec.field(default_factory=own_socket)
    group: Group | None = None
    node: Path | None = None
    port: Port = PORT
    open_to: tuple[str, ...] = ()
    policy: Policy = Policy()
    strangers: Literal["allow", "refuse"] = "allow"
    mailboxes: bool = True
    keep_messages: Annotated[int, msgspec.Meta(ge=100, le=10_000_000)] = 200_000
    keep_days: Annotated[int, msgspec.Meta(ge=0, le=36500)] = 0
    files_quota_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)] = 2_000_000_000
    note_users: dict[str, tuple[User, ...]] = {}

    @property
    def topics(self) -> dict[str, frozenset[int]]:
        return {topic: frozenset(user.uid for user in users) for topic, users in self.note_users.items()}


def read_config(path: Path | None, defaults: Path | None = None) -> Config:
    """A file that is named must be there, unless there are `defaults`. Raises SettingsError."""
    return load_settings(Config, path, defaults, usual_config())
