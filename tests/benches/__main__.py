"""The command line of `tests/bench`: figures with their aims and peers. A missed aim is printed, and fails nothing."""

from __future__ import annotations

import contextlib
import importlib
import json
import signal
import sys
import textwrap
from dataclasses import asdict

import click

from tests.benches import services
from tests.benches.figures import Figure

SUBJECTS = {
    "viscript": {name: f"tests.benches.{name}" for name in ("signal", "launcher", "cluster")},
    "mesh": {
        "routes": "tests.benches.routes",
        "throughput": "tests.benches.mesh.throughput",
        "release": "tests.benches.mesh.release",
        "hops": "tests.benches.mesh.hops",
        "labels": "tests.benches.mesh.labels",
        "payload": "tests.benches.mesh.payload",
        "setup": "tests.benches.mesh.setup",
        "failover": "tests.benches.mesh.failover",
        "memory": "tests.benches.mesh.memory",
        "idle": "tests.benches.mesh.idle",
        "board": "tests.benches.board",
    },
    "services": services.parts(),
    "board": {"rollout": "tests.benches.rollout", "flash": "tests.benches.flash", "life": "tests.benches.board_life"},
}
"""Subject → its parts and their modules, each with a `bench` that returns figures."""

WIDTH = 80


@click.command()
@click.argument("subject", type=click.Choice(list(SUBJECTS)))
@click.argument("parts", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Figures as JSON, on standard output.")
def main(subject: str, parts: tuple[str, ...], as_json: bool) -> None:
    """Measure SUBJECT on this machine, beside peers in the same run; all of it, or the PARTS named.

    \b
    Examples:
      tests/bench viscript
      tests/bench viscript signal
      tests/bench mesh throughput labels --json
    """
    known = SUBJECTS[subject]
    unknown = [part for part in parts if part not in known]
    if unknown:
        raise click.UsageError(f"'{subject}' has no part '{unknown[0]}' (there are: {', '.join(known)})")
    measured: dict[str, list[Figure]] = {}
    for part in parts or tuple(known):
        if not as_json:
            click.echo(f"\n{part}\n{'-' * WIDTH}")
        measured[part] = importlib.import_module(known[part]).bench()
        if not as_json:
            show(measured[part])
    figures = [figure for found in measured.values() for figure in found]
    if as_json:
        click.echo(json.dumps(described(measured), indent=1, ensure_ascii=False))
    else:
        click.echo(f"\n{sum(figure.verdict == 'MISSED' for figure in figures)} aims missed")


def show(figures: list[Figure]) -> None:
    for figure in figures:
        click.echo(f"{figure.verdict:<7}{figure.claim}")
        seen = f"{figure.value:.4g} {figure.unit}"
        words = [seen, f"aim {figure.aim}" if figure.aim else "", f"beside it {figure.peer}" if figure.peer else ""]
        for line in textwrap.wrap("; ".join(word for word in words if word), WIDTH - 9):
            click.echo(f"         {line}")


def described(measured: dict[str, list[Figure]]) -> dict[str, list[dict[str, object]]]:
    return {
        part: [asdict(figure) | {"verdict": figure.verdict} for figure in figures] for part, figures in measured.items()
    }


def end(number: int, _frame: object) -> None:
    """Asked to end: what was set up is taken down first."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    with contextlib.suppress(BrokenPipeError):
        main(prog_name="tests/bench")
