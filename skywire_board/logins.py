"""Names and passwords that stand in addresses, `https://bob:pass@host/`: to be taken out wherever an address is told.

Pure. What an update logs and keeps passes here, and every text of a support archive. Rather too much is taken than too
little: an `@` in the path of an address that has a port is taken for the end of a password.
"""

import base64
import re
import urllib.parse

_LOGIN = re.compile(r"(:(?:\\?/){2})(?:[^\s/\"'<>@:]{0,64}:[^\s\"'<>]{1,256}|[^\s/\"'<>]{1,256})@")


def without_login(text: str, mark: str = "") -> str:
    """`mark` stands where name and password were, before the host."""
    return _LOGIN.sub(lambda found: found[1] + mark, text)


def split_login(address: str) -> tuple[str, str]:
    """An address without its login, and the header of HTTP that says the same; no header where there is none."""
    bare = without_login(address)
    login, at, _ = urllib.parse.urlsplit(address).netloc.rpartition("@")
    if not at or bare == address:
        return address, ""
    name, _, password = login.partition(":")
    said = f"{urllib.parse.unquote(name)}:{urllib.parse.unquote(password)}".encode()
    return bare, f"Authorization: Basic {base64.b64encode(said).decode()}"
