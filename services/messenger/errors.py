"""The messenger's errors; one root, each with the sentence to show."""


class MessengerError(Exception):
    """Root of the errors here."""


class ApiError(MessengerError):
    """What came over the messenger's socket is not what is said there."""


class MessengerAwayError(MessengerError):
    """No messenger answers at the socket. `what` is the sentence without the next step."""

    def __init__(self, what: str, step: str = "") -> None:
        super().__init__(f"{what} ({step})" if step else what)
        self.what = what


class MessengerRefusedError(MessengerError):
    """The messenger that was asked over its socket said no, in these words."""

    def __init__(self, why: str, *, asked_wrongly: bool = False) -> None:
        super().__init__(why)
        self.asked_wrongly = asked_wrongly


class AskedWronglyError(MessengerError):
    """What was asked names something that is not there, or cannot be."""


class FromPeersError(MessengerError):
    """The text may repeat what a peer sent, and does so harmlessly to a terminal."""

    def __init__(self, text: str) -> None:
        super().__init__(text if text.isprintable() else ascii(text)[1:-1])


class WireError(FromPeersError):
    """A peer sent what is no frame, no word, or too much; its connection ends with this sentence."""


class StoreError(MessengerError):
    """What is kept on the disk cannot be read or written; the text says what mends it."""


class PeerKeyError(FromPeersError):
    """A messenger's key is missing, or is not vouched for by its node."""


class NotTakenError(FromPeersError):
    """What a peer posted is refused, with the sentence that it is told."""

    def __init__(self, why: str, *, again: bool = False) -> None:
        """`again`: it may be taken later."""
        super().__init__(why)
        self.again = again


class UnreachableError(MessengerError):
    """A peer cannot be reached now."""
