"""The bench of the route computer measures what it says; how much it is, is not judged here."""

from tests.benches.routes import POLICIES, bench


def test_the_bench_fills_its_table() -> None:
    figures = bench(sizes=(200,), requests=3)
    assert [figure.unit for figure in figures] == ["ms"] * 2 * len(POLICIES) + ["MB", "s", "µs", "times"]
    assert all(figure.value > 0 for figure in figures)
