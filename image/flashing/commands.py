"""`image/flash`: writes cards and personalises them. What it does is told as it is done; Ctrl+C stops at any time."""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from image.errors import FlashError, ImageError
from image.flashing import asking, checking, disks, rack, writing
from image.flashing.bmap import Bmap, read_bmap, whole
from image.flashing.boot_partition import BootPartition
from image.flashing.model import Personal, Wifi, read_address
from image.flashing.settings import render
from image.recipe import HERE, SECTOR, read_recipe
from image.run import Runner
from image.tools import FLASH, install_tools

CARD = click.Path(path_type=Path)
DATA_BYTES = 512 << 20
"""What a card should have for data: below that, a board soon has no room."""


class Wish(msgspec.Struct, frozen=True):
    """What was asked for, apart from the card's settings."""

    device: Path
    image: Path
    rack: int | None
    yes: bool
    any_disk: bool
    mounted: bool


class Silent:
    """The Runner's log: what mtools says may hold secrets, and errors carry what matters."""

    def write(self, text: str, /) -> int:
        return len(text)

    def flush(self) -> None: ...


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("device", type=CARD)
@click.option("--image", type=CARD, help="The .img or .img.xz; default: the one in dist/.")
@click.option("--name", help="How the board is called; with --rack, NAME-1, NAME-2, …")
@click.option("--ssh-key", "keys", type=CARD, multiple=True, help="Public key that may log in; may be given often.")
@click.option("--no-ssh-key", is_flag=True, help="Offer none of ~/.ssh.")
@click.option("--time-zone", help="Such as Europe/Berlin.")
@click.option("--wifi", metavar="SSID", help="Wi-Fi to join; the password is asked for.")
@click.option("--country", help="Two letters, for Wi-Fi.")
@click.option(
    "--address", "addresses", multiple=True, metavar="ADDRESS", help="[interface=]address/length[,gateway[,dns]]"
)
@click.option("--invite", metavar="FILE", help="What `manager invite` printed; - asks for it.")
@click.option("--role", type=click.Choice(["member", "manager", "both"]), help="What the board is in its mesh.")
@click.option("--restore", is_flag=True, help="Bring an identity back: its 24 words are asked for.")
@click.option(
    "--rack",
    "count",
    type=click.IntRange(2, 99),
    help="Prepare so many cards in a row; without --invite the first is the manager.",
)
@click.option("--boot-files", is_flag=True, help="Only bring firmware, U-Boot and boot script up to date; data stays.")
@click.option("--yes", is_flag=True, help="Do not ask before the disk is overwritten.")
@click.option("--even-if-not-removable", "any_disk", is_flag=True, help="Overwrite a disk that is built in.")
@click.option("--even-if-mounted", "mounted", is_flag=True, help="Overwrite a disk that is in use.")
def flash(device: Path, image: Path | None, *, boot_files: bool, **asked: Any) -> None:
    """Write the card image to DEVICE and personalise it. Everything on DEVICE is lost.

    \b
    Examples (lsblk lists the disks; a plain file that is big enough is a card too):
      sudo image/flash /dev/sdX --name attic --time-zone Europe/Berlin
      sudo image/flash /dev/sdX --name attic --wifi "my net" --country DE
      sudo image/flash /dev/sdX --name sky --rack 8
      sudo image/flash /dev/sdX --boot-files
    """
    run = Runner(Silent(), 0)
    install_tools(run, FLASH)
    wish = Wish(
        device, image or find_image(Path("dist")), asked["count"], asked["yes"], asked["any_disk"], asked["mounted"]
    )
    if boot_files:
        _refresh(run, wish)
    else:
        _make_cards(run, wish, _ask_personal(**asked))


def find_image(dist: Path) -> Path:
    """The image that the build left: unpacked, else packed."""
    found = sorted(dist.glob("*.img")) or sorted(dist.glob("*.img.xz"))
    if not found:
        raise FlashError(f"no image in '{dist}' (run: sudo image/build, or name one: --image FILE)")
    return found[0]


def _ask_personal(
    name: str | None, keys: tuple[Path, ...], time_zone: str | None, wifi: str | None, country: str | None,
    addresses: tuple[str, ...], invite: str | None, role: str | None, count: int | None, *, no_ssh_key: bool,
    restore: bool, **_: object,
) -> Personal:  # fmt: skip
    """Of the options, and of what has to be asked for."""
    if count and (addresses or restore or role or not name):
        raise FlashError("a rack wants --name, and no --address, --restore or --role, which differ from card to card")
    if not keys and not no_ssh_key and sys.stdin.isatty():
        keys = asking.offer_keys(asking.home() / ".ssh")
    return Personal(
        name=name,
        ssh_keys=asking.read_keys(keys),
        time_zone=time_zone,
        wifi=Wifi(wifi, asking.ask_secret(f"password of '{wifi}'") or None, country) if wifi else None,
        addresses=tuple(read_address(text) for text in addresses),
        invite=asking.read_invite(invite) if invite else None,
        role=role,
        identity=asking.ask_words() if restore else None,
    )


def _make_cards(run: Runner, wish: Wish, personal: Personal) -> None:
    """One card, or a rack of them; what can be wrong with what was asked for is found before the first is touched."""
    template = (HERE / "boot_files/skywire.yaml").read_text()
    cards = _cards(run, wish, personal)
    for card in cards:
        checking.check_settings(run, render(template, card))
    if personal.identity:
        click.echo(f"  the words bring back node {checking.node_id(run, personal.identity)}")
    if not personal.ssh_keys:
        click.echo("  no SSH key was given: the board pins the first one that logs in after a press of its button")
    bmap = read_bmap(wish.image, read_recipe().disk) or whole(writing.unpacked_size(wish.image))
    for number, card in enumerate(cards, 1):
        if wish.rack:
            _make_rack_card(run, wish, bmap, render(template, card), f"card {number} of {wish.rack}, '{card.name}'")
        else:
            _make_card(run, wish, bmap, render(template, card))
        whose = f" of '{card.name}'" if card.name else ""
        click.echo(f"  done: the card{whose} may be taken out")


def _make_rack_card(run: Runner, wish: Wish, bmap: Bmap, settings: str, which: str) -> None:
    """A card that fails is put aside: another becomes the same board, so the cards that are done stay of use."""
    while True:
        asked = f"{which}: put it in and press Enter"
        click.prompt(asked, "", prompt_suffix=" ", show_default=False)
        try:
            return _make_card(run, wish, bmap, settings)
        except (ImageError, OSError) as error:
            click.echo(f"  {which} failed: {error}", err=True)
            if not click.confirm("  take another card for the same board? (no stops here)", default=True):
                raise


def _cards(run: Runner, wish: Wish, personal: Personal) -> list[Personal]:
    if not wish.rack:
        return [personal]
    if personal.invite:
        return rack.numbered(personal, wish.rack)
    click.echo(f"  no invitation was given: '{personal.name}-1' will be the manager, and the others join it")
    return rack.make_rack(run, personal, wish.rack)


def _make_card(run: Runner, wish: Wish, bmap: Bmap, settings: str) -> None:
    """Written, read back, personalised."""
    disk = disks.look(wish.device)
    layout = read_recipe().disk
    disks.check(disk, layout.data_lba * SECTOR + DATA_BYTES, any_disk=wish.any_disk, mounted=wish.mounted)
    if not wish.yes:
        asking.confirm(disk, "overwrite everything on it?")
    with writing.open_disk(wish.device, shared=wish.mounted) as fd:
        for label, work in (("writing", writing.write), ("reading back", writing.verify)):
            with click.progressbar(length=bmap.mapped_bytes, label=f"  {label:<13}") as bar:
                work(wish.image, bmap, fd, bar.update)
        writing.forget(fd)
        BootPartition(run, wish.device, layout).write("skywire.yaml", settings.encode())
        writing.forget(fd)


def _refresh(run: Runner, wish: Wish) -> None:
    """Only the files that boards start from; settings and data stay as they are."""
    if wish.image.suffix == ".xz":
        raise FlashError(f"'{wish.image}' is packed: unpack it first (run: xz -dk {wish.image})")
    disk = disks.look(wish.device)
    disks.check(disk, 0, any_disk=wish.any_disk, mounted=wish.mounted)
    partition = BootPartition(run, wish.device, read_recipe().disk)
    partition.check()
    if not wish.yes:
        asking.confirm(disk, "bring its boot files up to date? (settings and data stay)")
    with writing.open_disk(wish.device, shared=wish.mounted) as fd:
        written = partition.refresh(wish.image)
        writing.forget(fd)
    click.echo(f"  written and read back: {', '.join(written) or 'nothing, all of it is up to date'}")
