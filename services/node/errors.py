"""The node's errors; one root, each with the sentence to show."""


class NodeError(Exception):
    """Root of the errors here."""


class KeptError(NodeError):
    """What the node keeps in its folders cannot be read or written."""


class StartError(NodeError):
    """The node cannot run as it is configured, or runs already."""


class SlowKernelError(NodeError):
    """The kernel did not answer in time. What was asked is still done, in its turn."""


class OrderError(NodeError):
    """An order cannot be carried out; the text is the reason that its manager gets."""


class AwayError(NodeError):
    """No manager can be asked just now; asking again later may help."""


class RefusedError(NodeError):
    """A manager refuses, with its reason; asking again does not help."""


class ProbeLostError(NodeError):
    """A probe had no answer in time."""


class ApiError(NodeError):
    """What came over the node's socket is not what is said there."""


class NodeAwayError(NodeError):
    """No node answers at the socket."""


class NodeRefusedError(NodeError):
    """The node that was asked over its socket said no, in these words."""

    def __init__(self, why: str, *, asked_wrongly: bool = False) -> None:
        super().__init__(why)
        self.asked_wrongly = asked_wrongly


class ServiceError(NodeError):
    """A service cannot be offered so; the text says what is wrong with it."""


class SessionError(NodeError):
    """A session cannot be had; the text says who refused and why."""


class NameUnknownError(NodeError):
    """Nobody is known by that name, or it is no name."""


class MemberError(NodeError):
    """Nobody can be let in so; the text says what is wrong."""


class ResolverError(NodeError):
    """Names cannot be answered there."""


class CarryError(NodeError):
    """Networks cannot be carried so; the text says what is wrong."""


class VouchError(NodeError):
    """A key cannot be vouched for so, or the word of another node is not sound."""


class OutsideError(NodeError):
    """A port cannot be opened to the world outside the mesh so; the text says what is wrong."""
