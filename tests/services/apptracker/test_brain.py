"""The directory's rules, under a clock of the test's own."""

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.apptracker.brain import MAX_ENTRIES, MAX_PER_CLIENT, Directory
from services.apptracker.errors import RefusedError
from services.apptracker.model import Deregister, Entries, Leased, Query, Register, Renew


def make_directory() -> Directory:
    numbers = count(1)
    return Directory(lambda: f"lease-{next(numbers)}")


def names(directory: Directory, now_s: float, name: str | None = None) -> list[str]:
    answer = directory.answer(Query(name), "h", now_s)
    assert isinstance(answer, Entries)
    return [entry.name for entry in answer.entries]


def test_an_entry_is_there_until_its_lease_ends() -> None:
    directory = make_directory()
    assert directory.answer(Register("web", "a:1", lease_s=10), "h", 100) == Leased("lease-1", 10)
    assert names(directory, 109.9) == ["web"]
    assert names(directory, 110) == []
    assert len(directory) == 0


def test_a_renewed_lease_runs_anew() -> None:
    directory = make_directory()
    directory.answer(Register("web", "a:1", lease_s=10), "h", 0)
    directory.answer(Renew("lease-1"), "h", 9)
    assert names(directory, 18.9) == ["web"]
    assert names(directory, 19) == []
    with pytest.raises(RefusedError, match="no such lease"):
        directory.answer(Renew("lease-1"), "h", 19)


def test_an_entry_goes_when_it_is_taken_back() -> None:
    directory = make_directory()
    directory.answer(Register("web", "a:1"), "h", 0)
    assert directory.answer(Deregister("lease-1"), "h", 1) == Leased("lease-1", 0)
    assert names(directory, 1) == []


def test_a_query_may_be_for_one_name() -> None:
    directory = make_directory()
    for name in ("web", "vpn", "web"):
        directory.answer(Register(name, "a:1"), "h", 0)
    assert names(directory, 1, "web") == ["web", "web"]
    assert names(directory, 1) == ["vpn", "web", "web"]


def test_one_client_cannot_fill_the_directory() -> None:
    directory = make_directory()
    for _ in range(MAX_PER_CLIENT):
        directory.answer(Register("web", "a:1", lease_s=10), "greedy", 0)
    with pytest.raises(RefusedError, match="from greedy already"):
        directory.answer(Register("web", "a:1"), "greedy", 1)
    directory.answer(Register("web", "a:1"), "other", 1)
    directory.answer(Register("web", "a:1"), "greedy", 10)


def test_the_directory_has_an_end() -> None:
    directory = make_directory()
    for number in range(MAX_ENTRIES):
        directory.answer(Register("web", "a:1"), f"host-{number}", 0)
    with pytest.raises(RefusedError, match="full"):
        directory.answer(Register("web", "a:1"), "last", 0)


@pytest.mark.parametrize(
    "register",
    [
        Register("", "a:1"),
        Register("a b", "a:1"),
        Register("x" * 65, "a:1"),
        Register("web", ""),
        Register("web", "a:1\n"),
        Register("web", "a:1", key="xyz"),
        Register("web", "a:1", lease_s=0),
        Register("web", "a:1", lease_s=float("nan")),
        Register("web", "a:1", lease_s=1e9),
    ],
)
def test_what_makes_no_sense_is_refused(register: Register) -> None:
    with pytest.raises(RefusedError):
        make_directory().answer(register, "h", 0)


steps = st.lists(
    st.tuples(st.sampled_from(["register", "renew", "deregister"]), st.integers(1, 8), st.integers(0, 20)),
    max_size=40,
)


@given(steps)
def test_the_books_balance_whatever_happens(history: list[tuple[str, int, int]]) -> None:
    """Against the plainest model there is: a table of ends."""
    directory, ends, now = make_directory(), dict[str, float](), 0.0
    made = 0
    for what, number, passed in history:
        now += passed
        ends = {lease: end for lease, end in ends.items() if end > now}
        lease = f"lease-{number}"
        if what == "register":
            made += 1
            directory.answer(Register("web", "a:1", lease_s=10), "h", now)
            ends[f"lease-{made}"] = now + 10
        elif lease in ends:
            directory.answer(Renew(lease) if what == "renew" else Deregister(lease), "h", now)
            ends[lease] = now + 10
            if what == "deregister":
                del ends[lease]
        else:
            with pytest.raises(RefusedError):
                directory.answer(Renew(lease), "h", now)
        assert len(directory) == len(ends)
