"""`image/build` and `image/boot`: the command lines, and the only place of this package that prints or exits."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from image.cache import default_cache
from image.errors import ImageError

if TYPE_CHECKING:
    from image.conductor import Wish
    from image.steps.deliver import Figures

SHELL_DEADLINE_S = 900


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Build and boot the Skywire Board card image."""


@main.command()
@click.option("--mirror", metavar="ADDRESS", help="Debian mirror; default: the one of this machine's apt.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for what need not be made twice.")
@click.option(
    "--dist", type=click.Path(path_type=Path), default=Path("dist"), show_default=True, help="Where the results go."
)
@click.option("--work", type=click.Path(path_type=Path), help="Folder to work in; default: the cache.")
@click.option("--uncompressed", is_flag=True, help="Leave the .img and skip the .img.xz.")
@click.option("--key", type=click.Path(exists=True, path_type=Path), help="Private key (PEM) that signs the bundle.")
@click.option("--cert", type=click.Path(exists=True, path_type=Path), help="Its certificate, by which boards know it.")
@click.option("--url", metavar="ADDRESS", help="Where the image will be fetched, for os_list.json; default: dist.")
def build(**asked: Any) -> None:
    """Build the card image into dist/, as root (or with sudo), on Debian 12 or 13.

    \b
    Example:
      sudo image/build
      sudo image/flash /dev/sdX

    The cache ($XDG_CACHE_HOME/skywire-board, else ~/.cache/skywire-board) may be removed at any time. Every build
    removes what killed builds left in it, what was not used for 30 days, and all but the newest three roots.
    Boards take updates of one key. Without --key and --cert it is one of this machine alone, made once into the
    cache's folder `keys`: keep it as long as you have boards that were made with it.
    """
    from image import conductor

    if os.geteuid() != 0:
        raise ImageError("building needs root, since the image's files belong to other users (run: sudo image/build)")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    wish = _wish(**asked)
    try:
        built = conductor.build(wish, _tell)
    except KeyboardInterrupt:
        raise ImageError(
            f"stopped; '{wish.dist}' holds the results that it held before (run it again at any time)"
        ) from None
    _print_aims(built.figures)
    click.echo(f"\n  {built.packed or built.image}\n  {built.bundle}\n  next: image/boot")


def _wish(cache: Path | None, key: Path | None, cert: Path | None, *, uncompressed: bool, **rest: Any) -> "Wish":
    from image.conductor import Wish
    from image.steps.bundle import Keys

    if (key is None) != (cert is None):
        raise click.UsageError("--key and --cert belong together: give both or neither")
    keys = Keys(key, cert) if key and cert else None
    return Wish(cache=cache or default_cache(), compress=not uncompressed, keys=keys, **rest)


def _print_aims(figures: "Figures") -> None:
    from image.recipe import read_recipe

    aims = read_recipe().aims
    title, aim_s = ("from nothing", aims.cold_build_s) if figures.cold else ("with a warm cache", aims.warm_build_s)
    rows = [
        (f"build {title}", figures.seconds, aim_s, "s"),
        ("root, unpacked", figures.root_bytes / 1e6, aims.root_mb, "MB"),
    ]
    if figures.packed_bytes is not None:
        rows.append((".img.xz", figures.packed_bytes / 1e6, aims.image_xz_mb, "MB"))
    click.echo()
    for what, seen, aim, unit in rows:
        click.echo(f"  {what:<28} {seen:7.1f} {unit:<2}  aim {aim:5.0f} {unit:<2}  {'ok' if seen <= aim else 'MISSED'}")


def _tell(text: str) -> None:
    click.echo(text, nl=False)


@main.command()
@click.option(
    "--machine", type=click.Choice(["virt", "raspi3b"]), default="virt", show_default=True, help="virt is fast."
)
@click.option("--shell", is_flag=True, help="Wait for the board and open its viscript shell here.")
@click.option("--press", "press_s", type=float, metavar="SECONDS", help="Press the running emulator's button.")
@click.option("--board", "number", type=int, default=1, metavar="N", help="Whose button, when several boards run.")
@click.option("--boards", type=click.IntRange(1, 4), default=1, help="That many boards, joined by a switch.")
@click.option(
    "--skywire-yaml",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Put FILE on the boot partition as skywire.yaml.",
)
@click.option("--no-keys", is_flag=True, help="Leave authorized_keys as shipped: nobody's board yet.")
@click.option(
    "--dist", type=click.Path(path_type=Path), default=Path("dist"), show_default=True, help="Where the image is."
)
def boot(
    machine: str,
    shell: bool,
    press_s: float | None,
    number: int,
    boards: int,
    skywire_yaml: Path | None,
    no_keys: bool,
    dist: Path,
) -> None:
    """Boot the built image in QEMU and show its lights.

    \b
    Example:
      image/boot                         a status line with the lights; prints how to log in
      image/boot --shell                 straight into the viscript shell
      image/boot --press 0.2             in a second terminal: a short press
      image/boot --boards 2              two boards on one switch, to pair them
      image/boot --press 3 --board 2     hold the second one's button
    """
    from image.emulator import session

    if press_s is not None:
        session.press_running(press_s, number)
        return
    if shell and boards > 1:
        raise click.UsageError("--shell opens one board's shell; with --boards, log in as the status line says")
    text = skywire_yaml.read_text() if skywire_yaml else None
    sys.exit(_boot(machine, boards, shell, dist, text, not no_keys))


def _boot(machine: str, count: int, shell: bool, dist: Path, skywire_yaml: str | None, login: bool) -> int:
    import contextlib
    import tempfile

    from image.emulator import session
    from image.emulator.board import Board, end_by_interrupt
    from image.emulator.card import find_image
    from image.emulator.lan import Lan
    from image.recipe import read_recipe
    from image.run import Runner
    from image.tools import BOOT, SWITCH, install_tools

    with tempfile.TemporaryDirectory(prefix="skywire-board-") as name, Path(name, "boot.log").open("w") as log:
        run, folder = Runner(log, read_recipe().epoch), Path(name)
        install_tools(run, BOOT | SWITCH if count > 1 else BOOT)
        image, lan = find_image(run, dist), Lan(folder / "lan.log") if count > 1 else None
        boards = [
            Board(machine, image, folder / str(number), skywire_yaml=skywire_yaml, login=login, lan=lan)
            for number in range(1, count + 1)
        ]
        control = session.Control(boards)
        end_by_interrupt()
        try:
            with contextlib.ExitStack() as running:
                for part in ([lan] if lan else []) + boards:
                    running.enter_context(part)
                if shell:
                    return session.shell(boards[0], _tell, SHELL_DEADLINE_S)
                session.show(boards, _tell, live=sys.stdout.isatty())
        except KeyboardInterrupt:
            _tell("\n")
        finally:
            control.close()
    return 0


if __name__ == "__main__":
    try:
        main(prog_name="image")
    except (ImageError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
