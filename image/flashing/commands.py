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
SPOKEN = {"keys": "--ssh-key", "addresses": "--address", "count": "--rack"}
"""How options are spelled whose names in here are others."""

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
@click.option("--wifi", metavar="SSID", help="Wi-Fi to join; the password is asked for (none: an open network).")
@click.option("--country", help="Two letters, for --wifi.")
@click.option(
    "--address", "addresses", multiple=True, metavar="ADDRESS", help="[interface=]address/length[,gateway[,dns]]"
)
@click.option(
    "--invite",
    metavar="FILE",
    help="What `manager invite` printed; - asks for it. It lets in one board within an hour, unless it was made with"
    " more: for --rack 8, `manager invite --uses 8 --lasts 7d`.",
)
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

    Asked wrongly, it ends with 2; what fails, with 1. Whatever can be wrong is found before a card is touched.

    \b
    Examples (lsblk lists the disks; a plain file can stand for a card):
      sudo image/flash /dev/sdX --name attic --time-zone Europe/Berlin
      sudo image/flash /dev/sdX --name attic --wifi "my net" --country DE
      sudo image/flash /dev/sdX --name sky --rack 8
      sudo image/flash /dev/sdX --boot-files
    """
    run = Runner(Silent(), 0)
    install_tools(run, FLASH)
    wish = Wish(
        device,
        image or find_image(Path("dist"), HERE.parent / "dist"),
        asked["count"],
        asked["yes"],
        asked["any_disk"],
        asked["mounted"],
    )
    _check_asked(boot_files=boot_files, **asked)
    writing.check_image(wish.image, read_recipe().disk.id)
    if boot_files:
        _refresh(run, wish)
    else:
        if not wish.rack:  # whose first card need not be in yet
            _look(wish)
        _make_cards(run, wish, _ask_personal(**asked))


def find_image(*places: Path) -> Path:
    """The image that the build left in the first of the folders that has one: unpacked, else packed."""
    for dist in places:
        if found := sorted(dist.glob("*.img")) or sorted(dist.glob("*.img.xz")):
            return found[0]
    raise FlashError(f"no image in '{places[0]}' (run: sudo image/build, or name one: --image FILE)")


def _check_asked(*, boot_files: bool, **asked: Any) -> None:
    """UsageError for options that are empty, or that do not go together."""
    names = {name: f"--{name.replace('_', '-')}" for name in asked} | SPOKEN
    given = {name for name, value in asked.items() if value not in (None, (), False)}
    if empty := sorted(name for name in given if asked[name] == ""):
        raise click.UsageError(f"{names[empty[0]]} is empty (leave it out, or say what it is)")
    if boot_files and (personal := sorted(given - {"yes", "any_disk", "mounted"})):
        raise click.UsageError(f"--boot-files leaves the settings as they are, so it goes without {names[personal[0]]}")
    if "country" in given and "wifi" not in given:
        raise click.UsageError(f"--country '{asked['country']}' is of a Wi-Fi: name it too (--wifi SSID)")
    if "count" not in given:
        return
    if "name" not in given:
        raise click.UsageError("--rack numbers its boards by a name: say which (--name sky makes sky-1, sky-2, …)")
    if wrong := sorted(given & {"addresses", "restore", "role"}):
        raise click.UsageError(f"{names[wrong[0]]} differs from card to card, so --rack goes without it")


def _ask_personal(
    name: str | None, keys: tuple[Path, ...], time_zone: str | None, wifi: str | None, country: str | None,
    addresses: tuple[str, ...], invite: str | None, role: str | None, *, no_ssh_key: bool, restore: bool, **_: object,
) -> Personal:  # fmt: skip
    """Of the options, and of what has to be asked for."""
    if not keys and not no_ssh_key and sys.stdin.isatty():
        keys = asking.offer_keys(asking.home() / ".ssh")
    return Personal(
        name=name,
        ssh_keys=asking.read_keys(keys),
        time_zone=time_zone,
        wifi=Wifi(wifi, asking.ask_password(wifi) or None, country) if wifi else None,
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
        click.echo("  no SSH key: the board takes the first that logs in after a press of its button")
    bmap = read_bmap(wish.image, read_recipe().disk) or whole(writing.unpacked_size(wish.image))
    for number, card in enumerate(cards, 1):
        if wish.rack:
            _make_rack_card(run, wish, bmap, render(template, card), f"card {number} of {wish.rack}, '{card.name}'")
        else:
            _make_card(run, wish, bmap, render(template, card))
        whose = f" of '{card.name}'" if card.name else ""
        click.echo(f"  done: the card{whose} may be taken out")
        if card.name and card.ssh_keys:
            click.echo(f"  when its board is up: ssh viscript@{card.name}.local")


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
        click.echo(
            f"  all {wish.rack} cards carry this invitation: it must be for {wish.rack} boards, and hold until the"
        )
        click.echo(f"  last is up, or boards show fault 7 (manager invite --uses {wish.rack} --lasts 7d)")
        return rack.numbered(personal, wish.rack)
    click.echo(f"  no invitation was given: '{personal.name}-1' will be the manager, and the others join it")
    return rack.make_rack(run, personal, wish.rack)


def _look(wish: Wish) -> disks.Disk:
    """FlashError unless it may be overwritten."""
    disk = disks.look(wish.device)
    need_bytes = read_recipe().disk.data_lba * SECTOR + DATA_BYTES
    disks.check(disk, need_bytes, any_disk=wish.any_disk, mounted=wish.mounted)
    return disk


def _make_card(run: Runner, wish: Wish, bmap: Bmap, settings: str) -> None:
    """Written, read back, personalised."""
    disk, layout = _look(wish), read_recipe().disk
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
