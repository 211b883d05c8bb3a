"""The bench of the line measures what it says; how much it is, is not judged here."""

from tests.benches.signal import Effort, bench


def test_the_bench_fills_its_table() -> None:
    figures = bench(Effort(rounds=2, pings=20, crowd=4, idle_s=0.1, beats=5))
    assert [figure.unit for figure in figures] == ["ms", "/s", "/s", "%"]
    assert all(figure.value > 0 and figure.aim and "bare asyncio echo" in figure.peer for figure in figures)
