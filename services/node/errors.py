"""The node's errors; one root, each with the sentence to show."""


class NodeError(Exception):
    """Root of the errors here."""


class ProbeLostError(NodeError):
    """A probe had no answer in time."""
