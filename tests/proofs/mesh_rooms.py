"""The rows of the mesh that need no network of hosts: what the tests of each room try with real parts (nats-server, the
kernel, files), run here one by one. A row holds where all of its tests ran and passed.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.boot.rows import Table

TREE = Path(__file__).parents[2]
DEADLINE_S = 600
ROOMS = "tests/services"

CLAIMS: dict[str, tuple[str, ...]] = {
    "a seed is made whole, once, for its owner alone; another is refused with what mends it": (
        "test_seed_file.py::test_only_its_owner_can_read_it_whatever_the_umask",
        "test_seed_file.py::test_the_bytes_are_on_the_disk_before_the_name",
        "test_seed_file.py::test_what_others_can_read_is_refused_and_the_command_mends_it",
    ),
    "the private part is in no traceback, core dump or /proc": (
        "test_secrecy.py::test_a_traceback_with_all_its_variables_tells_nothing",
        "test_secrecy.py::test_a_hidden_process_dumps_no_core",
        "test_secrecy.py::test_the_same_user_cannot_look_into_a_hidden_process",
    ),
    "a plan applied twice changes nothing; a half-failed one is told and completed": (
        "kernel/test_apply.py::test_everything_is_found_as_it_was_wanted",
        "kernel/test_apply.py::test_half_failed_is_reported_and_completed",
        "kernel/test_apply.py::test_a_restart_adopts_what_it_finds",
    ),
    "counters of thousands of routes are read at once": (
        "kernel/test_scale.py::test_thousands_of_labels",
        "kernel/test_scale.py::test_packets_are_counted_for_their_own_label",
    ),
    "a forged or replayed join": (
        "manager/engine/test_admission.py::test_forged_requests_are_refused",
        "manager/engine/test_admission.py::test_a_replayed_request_is_refused",
    ),
    "a record whose address does not match its key; an older record": (
        "manager/engine/test_words.py::test_a_false_record_is_refused_though_signed",
        "manager/engine/test_words.py::test_forged_older_and_foreign_records_are_refused",
        "node/test_links.py::test_an_older_record_does_not_bring_an_old_key_back",
    ),
    "a node publishes another's subjects, makes a consumer for another, reads another's labels or inbox": (
        "manager/engine/test_hostile.py::test_every_subject_but_its_own_is_refused",
        "manager/engine/test_hostile.py::test_a_reply_subject_makes_nobody_a_forger",
    ),
    "labels without the manager's signature, or with an old revision": (
        "node/test_orders.py::test_what_is_refused",
        "node/test_orders.py::test_no_replay_after_a_restart",
    ),
    "a manager lies about a peer's key or injects a peer: refused and told": (
        "node/test_responder.py::test_a_manager_cannot_inject_a_peer",
        "node/test_responder.py::test_a_changed_request_is_refused",
        "node/test_join.py::test_a_managers_false_record_is_refused",
    ),
    "floods of requests and of labels meet caps": (
        "manager/engine/test_hostile.py::test_a_flood_is_stopped_and_others_are_served",
        "manager/program/test_desk.py::test_caps_hold_and_name_themselves",
        "node/test_responder.py::test_one_initiator_cannot_flood",
    ),
    "an invitation is spent use by use and runs out": (
        "manager/program/test_door.py::test_an_invitation_is_spent_once_for_each_and_members_come_back_without",
        "manager/engine/test_invites.py::test_an_invitation_is_spent_use_by_use_and_runs_out",
    ),
    "a hop that refuses undoes the rest of its route": (
        "manager/program/test_desk.py::test_a_hop_that_refuses_or_is_silent_undoes_the_rest",
    ),
    "a board whose clock is at the epoch, or was a year ahead, comes home again": (
        "node/test_home.py::test_a_clock_that_went_back",
    ),
}


def fill(table: Table, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "rooms.xml"
    tests = [f"{ROOMS}/{name}" for names in CLAIMS.values() for name in names]
    words = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", f"--basetemp={folder / 'rooms'}", *tests]
    done = subprocess.run(words, cwd=TREE, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if not report.exists():
        table.add("the tests of the rooms run", done.stdout[-400:] + done.stderr[-400:], False)
        return
    seen = read_report(report)
    for claim, names in CLAIMS.items():
        found = [seen.get(name, "did not run") for name in names]
        told = "; ".join(f"{name.partition('::')[2]}: {outcome}" for name, outcome in zip(names, found, strict=True))
        table.add(claim, told, all(outcome.startswith("passed") for outcome in found))


def read_report(report: Path) -> dict[str, str]:
    """`path::test` under the rooms → how it went; of a test with many cases the worst."""
    counts: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 (our own pytest wrote it)
        path = case.get("classname", "").removeprefix(ROOMS.replace("/", ".") + ".").replace(".", "/")
        name = f"{path}.py::{case.get('name', '').partition('[')[0]}"
        trouble = next((child.tag for child in case if child.tag in {"failure", "error", "skipped"}), "passed")
        counts.setdefault(name, []).append(trouble)
    return {name: _told(outcomes) for name, outcomes in counts.items()}


def _told(outcomes: list[str]) -> str:
    worst = next((outcome for outcome in outcomes if outcome != "passed"), "passed")
    return worst if len(outcomes) == 1 else f"{worst} ({len(outcomes)} cases)"
