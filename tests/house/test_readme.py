"""The README against the tree: its tables are the code's, its commands and paths are there. Its prose is for people."""

import re

import pytest

from skywire_board.boards import Board, read_boards
from skywire_board.config import GPIO_KEYS
from skywire_board.patterns import PROGRAMS
from tests.house.tree import PRODUCT, ROOT, told
from viscript.launcher.app_keys import KEYS
from viscript.shell.commands import TABLE
from viscript.shell.render import pairs

README = (ROOT / "README.md").read_text()
LINES = README.splitlines()
FIRST_SCREEN = 60
FOLDERS = (*PRODUCT, "rootfs_overlay", "tests")
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(FOLDERS)})/[\w./*-]*")
SPAN = re.compile(r"`([^`]+)`")
PINS = "On the 40-pin header of a Raspberry Pi: **status** LED on GPIO 17, **activity** LED on GPIO 27"
BUTTON = "**button** between GPIO 22 and ground"


def section(title: str) -> str:
    """The text under a heading of second rank."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no section '{title}'"
    return found[1]


def table(text: str, head: str) -> list[str]:
    """The rows of the table whose first line is `head`."""
    lines = text.splitlines()
    assert head in lines, f"README.md has no table that begins '{head}'"
    rows = lines[lines.index(head) + 2 :]
    return rows[: next((number for number, row in enumerate(rows) if not row.startswith("|")), len(rows))]


def named_paths(text: str) -> list[str]:
    """Paths of the tree in code: between backticks, in fences and indented."""
    fences = re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    indented = [line for line in rest.splitlines() if line.startswith("    ")]
    return [path.rstrip(".") for code in (*fences, *indented, *SPAN.findall(rest)) for path in PATH.findall(code)]


def missing_paths(text: str) -> list[str]:
    return sorted({path for path in named_paths(text) if not any(ROOT.glob(path.rstrip("/")))})


def board_row(board: Board) -> str:
    """What the table must say of a board; whether it was booted is for people to say."""
    assert board.gpio is not None
    pins = f"{board.gpio.status_led}, {board.gpio.activity_led}, {board.gpio.button}"
    return f"| {board.name} | `{board.gpio.chip}` | {pins} | {', '.join(board.onboard_led) or 'none'} |"


def test_the_light_table_is_the_codes() -> None:
    wanted = [f"| {name.value.replace('_', ' ')} | {row.look} | {row.text} |" for name, row in PROGRAMS.items()]
    assert table(section("Lights and button"), "| Pattern | Status light | Means |") == wanted


def test_the_pins_are_those_of_the_boards() -> None:
    text = " ".join(section("Lights and button").split())
    assert PINS in text
    assert BUTTON in text
    pins = {
        (board.gpio.status_led, board.gpio.activity_led, board.gpio.button, board.gpio.button_pull)
        for board in read_boards(ROOT / "image/boards")
        if board.gpio and board.name.startswith("Raspberry Pi")
    }
    assert pins == {(17, 27, 22, "up")}


def test_every_board_has_its_row() -> None:
    rows = table(section("Boards"), "| Board | GPIO chip | Status, activity, button | Own light | Booted |")
    wanted = {board_row(board) for board in read_boards(ROOT / "image/boards")}
    assert {"|".join([*row.split("|")[:5], ""]) for row in rows} == wanted


def test_every_command_is_named() -> None:
    lines = section("The shell").splitlines()
    wrong = [line for line in pairs([(command.usage, command.summary) for command in TABLE]) if line not in lines]
    assert not wrong, told(wrong, "copy what `help` prints into the README's section 'The shell'")


def test_every_key_is_named() -> None:
    text = section("Configuration")
    rows = "".join(row.split("|")[1] for row in table(text, "| Key of an application | Meaning |"))
    assert set(SPAN.findall(rows)) == set(KEYS)
    assert [key for key in GPIO_KEYS if not re.search(rf"\b{key}\b", text)] == []


def test_what_it_names_is_there() -> None:
    assert len(set(named_paths(README))) >= 10
    assert not missing_paths(README), told(missing_paths(README), "correct README.md: the tree has no such path")


@pytest.mark.parametrize("text", ["run `tests/nosuch`", "    image/nosuch --x\n", "```\nviscript/nosuch/*.py\n```\n"])
def test_a_path_that_is_not_there_is_seen(text: str) -> None:
    assert len(missing_paths(text)) == 1
    assert missing_paths("`/usr/image/x` and `house/tests/x`, prose about tests/x, `image/boards/*.yaml`") == []


def test_the_first_screen_has_the_two_commands() -> None:
    first = LINES[:FIRST_SCREEN]
    assert "    sudo image/build" in first
    assert "    image/boot --shell" in first


def test_the_picture_fits_a_terminal() -> None:
    start = LINES.index("```")
    assert max(len(line) for line in LINES[start : LINES.index("```", start + 1)]) <= 80
