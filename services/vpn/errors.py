"""The VPN's errors; one root, each with the sentence to show."""


class VpnError(Exception):
    """Root of the errors here."""


class TalkError(VpnError):
    """What came over the control connection is not what is said there."""


class LeaseError(VpnError):
    """No address can be leased; the text says why. Asking again after `again_s` may help; with None, it does not."""

    def __init__(self, why: str, again_s: float | None = None) -> None:
        super().__init__(why)
        self.again_s = again_s


class StartError(VpnError):
    """The program cannot run as it is configured, or runs already."""


class KeptError(VpnError):
    """What is kept between two runs cannot be read or written."""


class AskError(VpnError):
    """A question to the running program has no answer; the text says why."""


class NobodyError(AskError):
    """No such program runs."""


class TunnelError(VpnError):
    """There is no tunnel by that server just now; the text says why, maybe in the server's words, `cause` in few of our
    own. Asking it again after `again_s` may help.
    """

    def __init__(self, why: str, again_s: float | None = None, cause: str = "server") -> None:
        super().__init__(why)
        self.again_s, self.cause = again_s, cause


class ResolverError(VpnError):
    """The machine's resolver cannot be set, or not be set back."""
