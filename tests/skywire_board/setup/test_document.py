"""YAML with lines: what an error says, where a secret's bytes lie, what is left when it is blanked."""

import pytest

from skywire_board.errors import SetupError
from skywire_board.setup.document import BOM, Document, mask
from skywire_board.setup.model import SECRETS, Settings, is_taken
from tests.skywire_board.setup.scene import KEY


def read(text: str | bytes) -> Settings:
    data = text if isinstance(text, bytes) else text.encode()
    return Document(data, "skywire.yaml").convert(Settings, SECRETS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: pi-1\nnmae: x\n", "skywire.yaml:2: key 'nmae': nobody knows this key"),
        ("\n\nname: -pi\n", "skywire.yaml:3: key 'name': must be 1 to 63 letters"),
        ("name: [a]\n", "skywire.yaml:1: key 'name': expected text"),
        ("name: a\nname: b\n", "skywire.yaml:2: key 'name' is given twice"),
        ("wifi:\n  ssid: x\n  password: short\n", "skywire.yaml:3: key 'wifi.password': must be 8 to 63 characters"),
        ("wifi:\n  country: DE\n", "skywire.yaml:2: key 'wifi': the key 'ssid' is missing"),
        ("wifi: {ssid: x, country: Germany}\n", "skywire.yaml:1: key 'wifi.country': must be two letters"),
        ("time_zone: Berlin\n", "skywire.yaml:1: key 'time_zone': must be a name of the tz database"),
        ("time_zone: ../../../etc/passwd\n", "skywire.yaml:1: key 'time_zone'"),
        ("ssh_keys:\n  - ssh-dss AAAA\n", "skywire.yaml:2: key 'ssh_keys': must be public keys"),
        ("role: boss\n", "skywire.yaml:1: key 'role': invalid enum value 'boss'"),
        ("invite: skywire:abc\n", "skywire.yaml:1: key 'invite': must be the whole text"),
        ("identity: one two three\n", "skywire.yaml:1: key 'identity': must be 24 words, not 3"),
        ("name: x\n\tage: 3\n", "skywire.yaml:2: a tab; indent with spaces"),
        ("name: 'x\n", "skywire.yaml:"),
        ("- a\n", "skywire.yaml:1: expected keys with values"),
        ("a: " + "[" * 5000, "skywire.yaml:"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(
                f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
                for a, b in zip("abcdef", "bcdefg", strict=True)
            ),
            "skywire.yaml:1: says more than 5000 values",
        ),
        (b"name: caf\xe9\n", "skywire.yaml:1: is not UTF-8"),
        ('\nname: "\\ud800"\n', "skywire.yaml:2: '\\ud800' is half a character"),
        ('"\\udfff": a\n', "skywire.yaml:1: '\\udfff' is half a character"),
        (b"# \n" * 40000, "skywire.yaml:1: has 120000 bytes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str | bytes, says: str) -> None:
    with pytest.raises(SetupError) as told:
        read(text)
    assert str(told.value).startswith(says)


def test_a_secret_is_never_told() -> None:
    with pytest.raises(SetupError) as told:
        read("wifi: {ssid: x, password: hunter2}\n")
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("wifi: hunter22secret\n", "skywire.yaml:1: key 'wifi': expected keys with values"),
        ("wifi: {ssid: x, hunter22secret}\n", "skywire.yaml:1: key 'wifi': holds a key that nobody knows"),
        ("wifi:\n  ssid: x\n  huntersecret: y\n", "skywire.yaml:3: key 'wifi': holds a key that nobody knows"),
        ("wifi:\n  ssid: x\n  country: hunter22secret\n", "skywire.yaml:3: key 'wifi.country': must be two letters"),
        ("wifi:\n  ssid: x\n  hidden: hunter22secret\n", "skywire.yaml:3: key 'wifi.hidden': expected true or false"),
        ("wifi:\n  ssid: x\n  password: *hunter22\n", "skywire.yaml:3: not YAML: found undefined alias"),
        ("wifi:\n  ssid: x\n  password: !hunter22!x y\n", "skywire.yaml:3: not YAML: found undefined tag handle"),
        ("hunter22secret\n", "skywire.yaml:1: expected keys with values"),
        ("name: x\n? skywire:hunter22@h:1/2.3\n", "skywire.yaml:2: holds a key that nobody knows"),
        ("hunter22: 1\nhunter22: 2\n", "skywire.yaml:2: a key is given twice"),
        ("identity: {hunter22: x}\n", "skywire.yaml:1: key 'identity': expected text"),
        ("invite: [hunter22]\n", "skywire.yaml:1: key 'invite': expected text"),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_told_either(text: str, says: str) -> None:
    with pytest.raises(SetupError) as told:
        read(text)
    assert str(told.value).startswith(says)
    assert "hunter" not in str(told.value)


def test_texts_stay_what_they_are() -> None:
    settings = read("name: 007\nwifi: {ssid: 12345, country: NO, password: 0123456789, hidden: true}\n")
    assert settings.name == "007"
    assert settings.wifi is not None
    assert (settings.wifi.ssid, settings.wifi.country) == ("12345", "NO")
    assert (settings.wifi.password, settings.wifi.hidden) == ("0123456789", True)


def test_what_windows_writes_is_read() -> None:
    data = BOM + f"name: pi-1\r\nssh_keys: {KEY}\r\nwifi:\r\n  ssid: Müller\r\n".encode()
    settings = read(data)
    assert settings.wifi is not None
    assert (settings.name, settings.ssh_keys, settings.wifi.ssid) == ("pi-1", KEY, "Müller")


def test_nothing_is_fine() -> None:
    assert read("") == read("# only a comment\r\n") == read("name:\nwifi: ~\n") == Settings()


WAYS = [
    "password: hunter22\n",
    "password: hunter22   # a comment\n",
    'password: "hunter22"\n',
    "password: 'hunter22'\r\n",
    "{ssid: ü, password: hunter22}\n",
    "ssid: ü\nnext: ü # ü\npassword: |\n  hunter22\nname: x\n",
    "password: >-\r\n    hunter22\r\n\r\nname: x\r\n",
    "password: hunter22",
    "password: hun ter\n  22 and more\nname: x\n",
    'password: "hunü\\"ter22"\n',
]


@pytest.mark.parametrize("head", ["", BOM.decode()])
@pytest.mark.parametrize("text", WAYS)
def test_a_secret_is_blanked_where_it_stands(head: str, text: str) -> None:
    data = (head + text).encode()
    document = Document(data, "x")
    node = document.node("password")
    assert node is not None
    masked = mask(data, [document.span(node)])  # type: ignore[arg-type]
    before, again = document.plain, Document(masked, "x").plain
    assert before is not None
    assert again is not None
    assert len(masked) == len(data)
    assert b"hun" not in masked
    assert b"22" not in masked
    assert is_taken(again.pop("password"))
    assert again == {key: value for key, value in before.items() if key != "password"}
