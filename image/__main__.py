"""`image/build` and `image/boot`: the command lines, and the only place of this package that prints or exits."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from image.cache import default_cache
from image.errors import ImageError

if TYPE_CHECKING:
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
def build(mirror: str | None, cache: Path | None, dist: Path, work: Path | None, uncompressed: bool) -> None:
    """Build the card image into dist/, as root (or with sudo), on Debian 12 or 13.

    \b
    Example:
      sudo image/build
      xz -dc dist/skywire-board-arm64.img.xz | sudo dd of=/dev/sdX bs=4M conv=fsync

    The cache ($XDG_CACHE_HOME/skywire-board, else ~/.cache/skywire-board) may be removed at any time. Every build
    removes what killed builds left in it, what was not used for 30 days, and all but the newest three roots.
    """
    from image import conductor

    if os.geteuid() != 0:
        raise ImageError("building needs root, since the image's files belong to other users (run: sudo image/build)")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    wish = conductor.Wish(
        cache=cache or default_cache(), dist=dist, mirror=mirror, compress=not uncompressed, work=work
    )
    try:
        built = conductor.build(wish, _tell)
    except KeyboardInterrupt:
        raise ImageError(
            f"stopped; '{dist}' holds the results that it held before (run it again at any time)"
        ) from None
    _print_aims(built.figures)
    click.echo(f"\n  {built.packed or built.image}\n  next: image/boot")


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
@click.option(
    "--dist", type=click.Path(path_type=Path), default=Path("dist"), show_default=True, help="Where the image is."
)
def boot(machine: str, shell: bool, press_s: float | None, dist: Path) -> None:
    """Boot the built image in QEMU and show its lights.

    \b
    Example:
      image/boot                         a status line with the lights; prints how to log in
      image/boot --shell                 straight into the viscript shell
      image/boot --press 0.2             in a second terminal: a short press
    """
    from image.emulator import session

    if press_s is not None:
        session.press_running(press_s)
        return
    sys.exit(_boot(machine, shell, dist))


def _boot(machine: str, shell: bool, dist: Path) -> int:
    import tempfile

    from image.emulator import session
    from image.emulator.board import Board, end_by_interrupt
    from image.emulator.card import find_image
    from image.recipe import read_recipe
    from image.run import Runner
    from image.tools import BOOT, install_tools

    with tempfile.TemporaryDirectory(prefix="skywire-board-") as folder, Path(folder, "boot.log").open("w") as log:
        run = Runner(log, read_recipe().epoch)
        install_tools(run, BOOT)
        board = Board(machine, find_image(run, dist), Path(folder))
        control = session.Control(board)
        end_by_interrupt()
        try:
            with board:
                if shell:
                    return session.shell(board, _tell, SHELL_DEADLINE_S)
                session.show(board, _tell, live=sys.stdout.isatty())
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
