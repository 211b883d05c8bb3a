"""The errors of the kernel door; one root, each with the sentence to show."""


class KernelError(Exception):
    """Root of the kernel door's errors."""


class WantedError(KernelError):
    """The wanted state contradicts itself; nothing was touched."""


class DoorError(KernelError):
    """The kernel, nftables or wireguard-go refused something, or did not answer in time."""


class AbsentError(DoorError):
    """What was to be removed or changed is not there."""
