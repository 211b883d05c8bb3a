"""What can go wrong on the signal line; one root, and local mistakes apart from remote ones."""


class SignalError(Exception):
    """Root of the signal library's errors."""


class LocalError(SignalError):
    """Our side asked for something the session's state forbids."""


class RemoteError(SignalError):
    """The peer broke the protocol; the connection cannot be used any more."""


class NotConnectedError(SignalError):
    """No live connection has registered that id."""


class UnansweredError(SignalError):
    """The program is connected but did not answer in time, or left while it was asked."""


class RefusedError(SignalError):
    """The program answered that it cannot do what was asked, and why."""


class AddressError(SignalError):
    """A signal address is not of the form host:port."""


class UnsupportedError(SignalError):
    """The program is connected, but lacks the extension that this needs."""
