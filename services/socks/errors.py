"""The errors of SOCKS server and client; one root, each with the sentence to show."""


class SocksError(Exception):
    """Root of the errors here."""


class WireError(SocksError):
    """A peer said what the protocol does not know. `answer`: the bytes that tell it so, before the connection ends."""

    def __init__(self, why: str, answer: bytes = b"") -> None:
        super().__init__(why)
        self.answer = answer


class StartError(SocksError):
    """The program cannot run as it is configured."""


class UsersError(SocksError):
    """The file of users and passwords cannot be used; the text says what mends it."""


class AwayError(SocksError):
    """No such program answers at its socket."""
