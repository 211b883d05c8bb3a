"""The manager's errors, but those of the route computer; one root, each with the sentence to show."""


class ManagerError(Exception):
    """Root of the errors here."""


class EngineError(ManagerError):
    """nats-server cannot be found, started or reached; the text says what mends it."""


class BusError(ManagerError):
    """The bus did not take or answer something; asking again may help."""


class ForbiddenError(BusError):
    """These credentials may not do that; asking again does not help."""


class ConflictError(BusError):
    """Somebody else changed that key first."""


class WordsError(ManagerError):
    """What came from outside is not one of the manager's words, or not signed by who must sign it."""


class OlderError(WordsError):
    """Something newer is known: what came is a replay, or late."""


class JoinError(ManagerError):
    """The join protocol was broken, or a manager refused; the text is what the other side may know."""


class LocalNodeError(ManagerError):
    """The node beside the manager is away or refuses something."""


class RefusedError(ManagerError):
    """What somebody asked will not be done; the text is for who asked. `again`: it may be, if it is asked again."""

    def __init__(self, text: str, *, again: bool = False) -> None:
        super().__init__(text)
        self.again = again


class HopError(ManagerError):
    """A hop refused an order or did not answer."""


class SilentHopError(HopError):
    """It did not answer."""


class ApiError(ManagerError):
    """What came over the manager's socket is not what is said there."""


class ManagerAwayError(ManagerError):
    """No manager answers at the socket."""
