"""The errors of a pairing; one root, each with the sentence to show."""


class PairingError(Exception):
    """Root of the errors here."""


class TalkError(PairingError):
    """What came from the other board is not what is said now, or not by whom it must be."""


class DoorError(PairingError):
    """Something beside a pairing cannot be used: the network, the node, the manager, the card."""


class ApiError(PairingError):
    """What came over the pairing's socket is not what is said there."""
