"""What updates remember between boots and tell to others. Frozen words, each one file of JSON."""

import msgspec


class Bundle(msgspec.Struct, frozen=True):
    """What a bundle says of itself, once its signature was checked: SHA-256 and bytes of the slot that it holds."""

    version: str
    compatible: str
    digest: str
    size: int


class Trial(msgspec.Struct, frozen=True):
    """/data/update/trial.json: what was installed last and is not yet good. `was`: the version that installed it.

    `mesh_before`: the mesh was reached when it was installed, so it must be reached again. Seconds since 1970.
    """

    slot: str
    version: str
    digest: str
    size: int
    was: str
    mesh_before: bool
    at: float


class Last(msgspec.Struct, frozen=True):
    """/data/update/last.json: how the last update ended. `rolled_back` says why, until the next one begins."""

    text: str = ""
    rolled_back: str = ""
    at: float = 0.0


class Worn(msgspec.Struct, frozen=True):
    """/data/update/worn.json: a slot that did not give back what was written to it."""

    slot: str


class BootNote(msgspec.Struct, frozen=True):
    """/run/skywire/boot.json: this boot. `good`: marked good in it."""

    slot: str
    other: str
    trial: bool
    mesh_before: bool
    good: bool
    rolled_back: str
    version: str
