"""Updates of a rack, as its owner sees them: the real manager, nodes and NATS, boards that really lose power.
`tests/prove board --only rollout` shows the same scenes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mesh.conftest import check_lab
from tests.services.updates import scenes
from tests.services.updates.rack import Rack, run_rack


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    check_lab()
    with run_rack(tmp_path_factory.mktemp("rack")) as made:
        yield made


def test_one_after_another(rack: Rack) -> None:
    scenes.one_after_another(rack)


def test_nobody_else_fetches_or_orders(rack: Rack) -> None:
    scenes.a_stranger_fetches_nothing(rack)
    scenes.a_forged_order_is_refused(rack)


def test_a_failure_stops_it(rack: Rack) -> None:
    scenes.a_failure_stops_it(rack)
    scenes.a_wrong_key_stops_it_before_a_slot_is_touched(rack)


def test_in_percentages_though_the_manager_is_killed(rack: Rack) -> None:
    scenes.in_percentages_though_the_manager_is_killed(rack)
