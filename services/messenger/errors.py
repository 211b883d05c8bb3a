"""The messenger's errors; one root, each with the sentence to show."""


class MessengerError(Exception):
    """Root of the errors here."""


class ApiError(MessengerError):
    """What came over the messenger's socket is not what is said there."""


class MessengerAwayError(MessengerError):
    """No messenger answers at the socket."""


class MessengerRefusedError(MessengerError):
    """The messenger that was asked over its socket said no, in these words."""

    def __init__(self, why: str, *, asked_wrongly: bool = False) -> None:
        super().__init__(why)
        self.asked_wrongly = asked_wrongly
