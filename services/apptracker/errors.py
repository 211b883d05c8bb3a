"""The tracker's errors; one root, each with the sentence to show."""


class TrackerError(Exception):
    """Root of the tracker's errors."""


class RefusedError(TrackerError):
    """The tracker will not do what was asked."""


class WireError(TrackerError):
    """A line is too long or not what the protocol knows."""


class AwayError(TrackerError):
    """No tracker answers at the address."""
