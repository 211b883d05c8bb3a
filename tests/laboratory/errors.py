"""The errors of the laboratory; each carries the sentence to print."""


class LabError(Exception):
    """Root of the errors here."""


class TopologyError(LabError):
    """A topology cannot be laid out: the text names what stands in the way."""


class CommandError(LabError):
    """A program of the machine's, such as ip or nft, refused; the text holds what it said."""


class NotReadyError(LabError):
    """A started program ended, or said nothing in time; the text ends with what it wrote last."""


class MissingError(LabError):
    """Something the laboratory needs is not here: a program, root, or a part of the kernel."""
