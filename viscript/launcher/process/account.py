"""The user an application is to run as: looked up and judged before anything starts."""

from __future__ import annotations

import os
import pwd

import msgspec

from viscript.errors import StartError


class Account(msgspec.Struct, frozen=True):
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    def variables(self) -> dict[str, str]:
        """What a program expects to know of its user."""
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name}


def find_account(name: str, refused_uid: int | None = None) -> Account:
    """Raises StartError: never root, never who does not exist, never the user with that id."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise StartError(f"user '{name}' does not exist (mend 'user' in the application's entry)") from None
    if entry.pw_uid == 0:
        raise StartError(f"an application does not run as root (user '{name}')")
    if entry.pw_uid == refused_uid:
        raise StartError(f"an application does not run as viscript's own user '{name}'")
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)
