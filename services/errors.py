"""The errors of what all services stand on: identities, their addresses and their files. One root, each with the
sentence to show; none carries a private byte. Every service has an errors.py of its own beside this one.
"""

_SHOWN_LETTERS = 80


class IdentityError(Exception):
    """Root of the errors here."""


class NodeIdError(IdentityError):
    """Not a node id: the text is wrong, or no key pair can stand behind it."""


class CurveKeyError(IdentityError):
    """Not an X25519 public key that a tunnel may use."""


class SignatureError(IdentityError):
    """A signature is not that node's, or not for that purpose and message."""


class SealError(IdentityError):
    """Sealed bytes are not for this node, or not what was sealed."""


class AddressError(IdentityError):
    """Not an address of the mesh, or not that of the key it came with."""


class WordsError(IdentityError):
    """The backup words do not give a seed; the text names the words to look at."""


class SeedFileError(IdentityError):
    """The seed cannot be read or written as it lies; the text says what mends it."""


class SettingsError(Exception):
    """A service's configuration cannot be used; the text names file, line, key and what was expected."""


def shown(text: str) -> str:
    """What a peer or person sent, in quotes: harmless to a terminal, and cut where it was a book."""
    if len(text) > _SHOWN_LETTERS:
        return f"{text[:_SHOWN_LETTERS]!a}…"
    return f"'{text}'" if text.isprintable() else ascii(text)
