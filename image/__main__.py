"""`image/build` and `image/boot`: the command lines, and the only place of this package that prints or exits."""

import sys
from pathlib import Path

import click

from image.cache import default_cache
from image.errors import ImageError

SHELL_DEADLINE_S = 900


def _megabytes(size: int) -> float:
    return size / 1e6


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Build and boot the Skywire Board card image."""


@main.command()
@click.option("--mirror", metavar="ADDRESS", help="Debian mirror; default: the one of this machine's apt.")
@click.option("--cache", type=click.Path(path_type=Path), help="Folder for what need not be made twice.")
@click.option(
    "--dist", type=click.Path(path_type=Path), default=Path("dist"), show_default=True, help="Where the results go."
)
@click.option("--work", type=click.Path(path_type=Path), help="Work folder, emptied first; default: in the cache.")
@click.option("--uncompressed", is_flag=True, help="Leave the .img and skip the .img.xz.")
def build(mirror: str | None, cache: Path | None, dist: Path, work: Path | None, uncompressed: bool) -> None:
    """Build the card image into dist/, as root (or with sudo), on Debian 12 or 13.

    \b
    Example:
      sudo image/build
      xz -dc dist/skywire-board-arm64.img.xz | sudo dd of=/dev/sdX bs=4M conv=fsync
    """
    from image import conductor
    from image.recipe import read_recipe

    if sys.platform != "linux" or __import__("os").geteuid() != 0:
        raise ImageError("building needs root, since the image's files belong to other users (run: sudo image/build)")
    wish = conductor.Wish(
        cache=cache or default_cache(), dist=dist, mirror=mirror, compress=not uncompressed, work=work
    )
    done = conductor.build(wish, lambda text: click.echo(text, nl=False))
    aims = read_recipe().aims
    rows = [
        ("build " + ("from nothing" if done.cold else "with a warm cache"), done.seconds, aims.cold_build_s if done.cold else aims.warm_build_s, "s"),
        ("root, unpacked", _megabytes(done.root_bytes), aims.root_mb, "MB"),
    ]  # fmt: skip
    if done.packed_bytes is not None:
        rows.append((".img.xz", _megabytes(done.packed_bytes), aims.image_xz_mb, "MB"))
    click.echo()
    for what, seen, aim, unit in rows:
        click.echo(f"  {what:<28} {seen:7.1f} {unit:<2}  aim {aim:5.0f} {unit:<2}  {'ok' if seen <= aim else 'MISSED'}")
    click.echo(f"\n  {done.packed or done.image}\n  next: image/boot")


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
    from image.emulator.board import Board
    from image.emulator.card import find_image
    from image.recipe import read_recipe
    from image.run import Runner
    from image.tools import BOOT, install_tools

    def tell(text: str) -> None:
        click.echo(text, nl=False)

    with tempfile.TemporaryDirectory(prefix="skywire-board-") as folder, Path(folder, "boot.log").open("w") as log:
        run = Runner(log, read_recipe().epoch)
        install_tools(run, BOOT)
        board = Board(machine, find_image(run, dist), Path(folder))
        control = session.Control(board)
        try:
            with board:
                if shell:
                    return session.shell(board, tell, SHELL_DEADLINE_S)
                session.show(board, tell, live=sys.stdout.isatty())
        except KeyboardInterrupt:
            tell("\n")
        finally:
            control.close()
    return 0


if __name__ == "__main__":
    try:
        main(prog_name="image")
    except ImageError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
