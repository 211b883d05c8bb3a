"""The errors of the route computer; one root, each with the sentence to show."""


class RouteError(Exception):
    """Root of the errors here."""


class PolicyError(RouteError, ValueError):
    """A policy contradicts itself or another one; a ValueError, so that msgspec names the field around it."""


class LinkError(RouteError, ValueError):
    """A link's report makes no sense."""


class UnknownNodeError(RouteError):
    """An id that is not in the graph."""


class NoRouteError(RouteError):
    """No route meets the policy; the text names what stands in the way."""


class TooHardError(RouteError):
    """The search was given up before it knew."""
