"""`image/flash`: the command line, and where an error of this package ends."""

import sys

import click

from image.errors import ImageError
from image.flashing.commands import flash

if __name__ == "__main__":
    try:
        flash.main(prog_name="image/flash")
    except (ImageError, OSError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
