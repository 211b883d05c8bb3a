"""The command line of `tests/bench`: figures with their aims and peers. A missed aim is printed, and fails nothing."""

import importlib
import textwrap

import click

SUBJECTS = {"viscript": ("signal", "launcher", "cluster"), "mesh": ("routes",)}
WIDTH = 80


@click.command()
@click.argument("subject", type=click.Choice(list(SUBJECTS)))
@click.option("--only", type=click.Choice([name for names in SUBJECTS.values() for name in names]), help="One part.")
def main(subject: str, only: str | None) -> None:
    """Measure SUBJECT on this machine, beside peers in the same run.

    \b
    Example:
      tests/bench viscript
      tests/bench viscript --only signal
    """
    missed = 0
    for name in SUBJECTS[subject]:
        if only not in {None, name}:
            continue
        click.echo(f"\n{name}\n{'-' * WIDTH}")
        for figure in importlib.import_module(f"tests.benches.{name}").bench():
            missed += figure.verdict == "MISSED"
            click.echo(f"{figure.verdict:<7}{figure.claim}")
            seen = f"{figure.value:.4g} {figure.unit}"
            words = [seen, f"aim {figure.aim}" if figure.aim else "", f"beside it {figure.peer}" if figure.peer else ""]
            for line in textwrap.wrap("; ".join(word for word in words if word), WIDTH - 9):
                click.echo(f"         {line}")
    click.echo(f"\n{missed} aims missed")


if __name__ == "__main__":
    main(prog_name="tests/bench")
