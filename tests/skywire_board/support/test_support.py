"""Secrets of every kind are put into every place that is collected, in many forms; the archive holds none of them."""

import base64
import gzip
import io
import json
import socket
import tarfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services import keys, words
from skywire_board.errors import SupportError
from skywire_board.support.client import ask
from skywire_board.support.collect import make_archive
from skywire_board.support.known import secrets_in
from skywire_board.support.outline import outline
from skywire_board.support.redact import Redactor
from skywire_board.support.sources import FILES, TOLD, Told
from skywire_board.support.words import Make

SEED = keys.new_seed()
RAW = SEED.reveal()
WORDS = words.to_words(SEED)
NODE_ID = keys.Identity(SEED).node_id
LINK = keys.wireguard_text(keys.Identity(SEED).link_secret().reveal())
TOKEN = "0123456789abcdef.AbCdEfGhIjKlMnOpQrStUv"
INVITATION = f"skywire:{NODE_ID}@203.0.113.9:7997/{TOKEN}"
NKEY = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJYWlhYWlhYWlhYWlhYIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
PSK = "correct horse"
SHORT = "hunter22"
UNKNOWN = "hush4711pw"
"""A password that no file of the board holds: only what stands around it tells."""
BASIC = base64.b64encode(f"bob:{UNKNOWN}".encode()).decode()
PEM = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUA\nAAAEbm9uZQ==\n"
    "-----END OPENSSH PRIVATE KEY-----"
)
ROWS = "\n".join(
    "".join(f"{first + at + 1:>4}. {word:<9}" for at, word in enumerate(WORDS[first : first + 4]))
    for first in range(0, 24, 4)
)


def forms() -> dict[str, str]:
    """As a program, a log or a person might have written them."""
    return {
        "hex": RAW.hex(),
        "HEX": RAW.hex().upper(),
        "bytes": RAW.hex(":"),
        "escaped": "".join(f"\\x{byte:02x}" for byte in RAW),
        "list": str(list(RAW)),
        "base64": base64.b64encode(RAW).decode(),
        "urlsafe": base64.urlsafe_b64encode(RAW).decode().rstrip("="),
        "words": " ".join(WORDS),
        "WORDS": " ".join(WORDS).upper(),
        "json": json.dumps(WORDS),
        "rows": ROWS,
        "lines": "\n".join(WORDS),
        "journal": "\n".join(f"[   12.345678] node[312]: {row}" for row in ROWS.splitlines()),
        "journal of lines": "\n".join(f"[   12.345678] node[312]: {word}" for word in WORDS),
        "wrapped": base64.b64encode(" ".join(WORDS).encode()).decode(),
        "link key": LINK,
        "invitation": INVITATION,
        "token": f"joined with {TOKEN}, and well",
        "nkey": f"user {NKEY}",
        "jwt": JWT,
        "psk": f'network={{ psk="{PSK}" }}',
        "yaml": f"password: {PSK}",
        "bare": f"wpa said {PSK}; the other said {SHORT}!",
        "hex of the short": SHORT.encode().hex(),
        "base64 of the short": base64.b64encode(f"x{SHORT}y".encode()).decode(),
        "quoted": json.dumps({"password": SHORT, "log": f'{{"secret": "{SHORT}"}}'}),
        "pem": PEM,
        **named(),
    }


def named() -> dict[str, str]:
    """A password that only what stands around it tells."""
    return {
        "address": f"'https://bob:{UNKNOWN}@host.example:8443/b.raucb' is not installed: HTTP 403",
        "proxy": f"http_proxy=http://bob:p@ss/{UNKNOWN}@10.0.0.1:3128",
        "address in JSON": json.dumps({"url": f"https://{UNKNOWN}@host/x"}).replace("/", "\\/"),
        "header": f"> Authorization: Basic {BASIC}",
        "header of RAUC": f"rauc: {{'url': <'http://h'>, 'headers': <['Authorization: Basic {BASIC}']>}}",
        "header in JSON": json.dumps({"proxy-authorization": f'Digest username="bob", response="{UNKNOWN}"'}),
        "scheme": f"sent Basic {BASIC} and bearer {UNKNOWN}, then gave up",
        "cookie": f"Set-Cookie: id=1; session={UNKNOWN}; Path=/",
        "option": f"ran tool --password {UNKNOWN} --retry 3",
        "option =": f"ran tool --wifi-pass={UNKNOWN}",
        "option in JSON": json.dumps(["tool", "--password", UNKNOWN]),
        "spoken": f"the passphrase 'x y {UNKNOWN}' is refused",
        "told": f"the password is {UNKNOWN}, he said",
        "brief": f"pw: {UNKNOWN}",
        "brief =": f"DB_PASS={UNKNOWN}",
        "curl": f"curl -u bob:{UNKNOWN} host",
    }


def never() -> list[str]:
    """What an archive must not have anywhere, in lower case and without white space."""
    secret = [
        *(RAW.hex()[at : at + 16] for at in (0, 24, 48)),
        *(base64.b64encode(RAW).decode()[at : at + 14] for at in (0, 14, 28)),
        *("".join(WORDS[at : at + 3]) for at in range(21)),
        *(LINK[:14], LINK[20:34], TOKEN[17:], NKEY[2:20], JWT[30:50], PSK, SHORT, SHORT.encode().hex()),
        *(UNKNOWN, BASIC[:12]),
        *(base64.b64encode(f"x{SHORT}y".encode()).decode()[2:12], "b3BlbnNzaC1rZXktdjEA"),
        *(RAW.hex(":")[:30], "".join(f"\\x{byte:02x}" for byte in RAW[:8]), str(list(RAW))[1:30]),
        *(base64.b64encode(" ".join(WORDS).encode()).decode()[at : at + 20] for at in (0, 40, 80)),
    ]
    return ["".join(text.lower().split()) for text in secret]


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A root in which every file that is collected holds every secret in every form, beside what should stay."""
    everything = "\n".join(f"{name}: {form}" for name, form in forms().items())
    for one in FILES:
        path = tmp_path / one.pattern.replace("*", "all")
        path.parent.mkdir(parents=True, exist_ok=True)
        data = f"link up, full duplex\n{everything}\nsky0: mtu 1420\n".encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    (tmp_path / "etc/wpa_supplicant").mkdir(parents=True)
    (tmp_path / "etc/wpa_supplicant/wlan0.conf").write_text(f'network={{\n  ssid="home"\n  psk="{PSK}"\n}}\n')
    (tmp_path / "boot/firmware/skywire.yaml").write_text(
        f"name: bee\nrole: member\nwifi:\n  country: DE\n  ssid: home\n  password: {SHORT}\ninvite: {INVITATION}\n"
        f"identity: {' '.join(WORDS)}\nwatchdog: true\npin: 12345678\n"
    )
    return tmp_path


def read(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {}
        for row in tar:
            file = tar.extractfile(row)
            assert file is not None
            found[row.name.removeprefix("skywire-support/")] = file.read().decode()
        return found


def test_no_secret_is_in_the_archive(board: Path) -> None:
    """The programs are stood in for by `printf`, which says all the secrets under the names of the real ones."""
    told = [Told(one.name, ("printf", "%s\n", *forms().values(), "active running")) for one in TOLD]
    pieces = read(make_archive(board, told))
    assert set(pieces) >= {f"{one.name}.txt" for one in TOLD}
    assert len(pieces) == 1 + len(TOLD) + len(FILES)
    for name, text in pieces.items():
        squeezed = "".join(text.lower().split())
        assert [secret for secret in never() if secret in squeezed] == [], f"{name}:\n{text}"
    assert "active running" in pieces["logs/journal.txt"]
    assert "sky0: mtu 1420" in pieces["logs/apps/all.txt"]
    assert "sky0: mtu 1420" in pieces["logs/before/all.log.gz.txt"]
    assert pieces["settings/boot.txt"] == (
        "name: <text of 3>\nrole: member\nwifi:\n  country: DE\n  ssid: <text of 4>\n  password: <secret>\n"
        "invite: <secret>\nidentity: <text of 157>\nwatchdog: true\npin: <number of 8>\n"
    ).replace("157", str(len(" ".join(WORDS))))


def test_the_secrets_are_found_where_nothing_is_taken_out(board: Path) -> None:
    """The same search over what was put in: so it would see one that slipped through."""
    squeezed = "".join((board / "run/skywire/out/all").read_text().lower().split())
    assert [secret for secret in never() if secret not in squeezed] == []


def test_what_helps_stays(tmp_path: Path) -> None:
    text = (
        "[    5.1] systemd[1]: Started skywire-board.service - Skywire Board supervisor (lights, button, health).\n"
        "[    6.2] node[312]: link to 192.168.77.15:51820 is up, mtu 1420, fe80::5054:ff:fe12:3456\n"
        "inet6 fd53:1234:5678:9abc:def0:1234:5678:9abc/128 scope global dev sky0\n"
        "link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff\n"
        "/usr/lib/skywire/lib/python3.13/site-packages/skywire_board/support/collect.py\n"
        "Reached target basic.target - Basic System.\n"
        "Started systemd-ask-password-console.path - Dispatch Password Requests to Console Directory Watch.\n"
        "sshd[400]: Failed password for admin from 192.168.77.15 port 40222 ssh2\n"
        "rauc[600]: opening http://192.168.77.15:8080/skywire-board-arm64.raucb, then ssh admin@skywire.local\n"
        "sudo[700]: admin : TTY=pts/0 ; PWD=/home/admin ; USER=root ; COMMAND=/usr/bin/ls\n"
    )
    assert Redactor().clean(text) == text
    cleaned = Redactor(public={NODE_ID}).clean(f"node {NODE_ID} knows {'ab' * 32} and {'cd' * 32}, not {'ab' * 32}")
    assert cleaned == f"node {NODE_ID} knows <id 1> and <id 2>, not <id 1>"


AROUND = (
    "cannot open 'https://bob:{}@10.0.0.1/x.raucb'",
    "no_proxy= https_proxy=http://:{}@proxy",
    "ran tool --password {} --retry 3",
    "ran tool --token={} --retry",
    '["tool", "--passphrase", "{}"]',
    "password '{}' is wrong",
    "passphrase {}\nnext line",
    "db.pass: {}",
    "Cookie: a=b; c={}; d",
    "proxy-authorization: Digest user=bob, response={}",
    "< authorization: bearer {}",
    "curl --user bob:{} host",
)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9!#$%&()*+,.:;=?@^_{|}~-]{7,30}", fullmatch=True))
@example("for:ever,and;a}day")
@example("a@b@c:d/e?f#g")
def test_whatever_the_password_is(password: str) -> None:
    for around in AROUND:
        cleaned = Redactor().clean(around.replace("{}", password))
        assert password not in cleaned
        assert cleaned.count("<secret>") == 1, cleaned


def test_a_hostile_line_holds_nobody_up() -> None:
    """A program's output is anybody's: nothing here may take more than a few seconds for the most that is read."""
    for piece in (
        "://",
        "http://a:b",
        "--password ",
        "pass_",
        "a-",
        "Basic ",
        "password is ",
        "cookie",
        "x: '",
        "-u a",
        "1, ",
    ):
        begun_s = time.process_time()
        Redactor({"hunter22"}).clean(piece * ((1 << 18) // len(piece)))
        assert time.process_time() - begun_s < 5.0, piece


README_STYLE = "name: attic\nwifi: {country: DE, ssid: my net, password: correct horse}   # secret\nrole: member\n"


@pytest.mark.parametrize(
    "text",
    [
        README_STYLE,
        README_STYLE + "\ttime_zone: ''\n",  # a wrong file: its secrets are never taken from it
        README_STYLE.replace("correct horse", "'correct horse'") + "[",
        "wifi:\n  password: correct horse\n",
        "wifi:\n  password: correct horse  # secret\n}",
        "wifi:\n\n  password:\n    correct\n    horse\n",
        "wifi:\n  password: >-\n    correct\n    horse\n",
        'wifi: {"password":"correct horse"}',
        "wifi:\n  ? password\n  : &p correct horse\nother: *p\n",
        "wifi: {password: something else}\nwifi: {password: correct horse}\n",
        "---\na: b\n---\nsecrets: {home: correct horse}\n",
        "passwords: [one two, correct horse]\n",
        "apps: {a: {default_args: [--ssid, x, --password, correct horse]}}\n",
        "apps: {a: {default_args: ['--password=correct horse']}}\n",
        "#   password: correct horse\n",
        'network={\n  psk="correct horse"\n}\n',
    ],
)
@pytest.mark.parametrize("written", ["plain", "crlf", "bom", "utf-16"])
def test_passwords_are_known_however_they_are_written(tmp_path: Path, text: str, written: str) -> None:
    data = {
        "plain": text.encode(),
        "crlf": text.replace("\n", "\r\n").encode(),
        "bom": text.encode("utf-8-sig"),
        "utf-16": text.encode("utf-16"),
    }[written]
    (tmp_path / "boot/firmware").mkdir(parents=True)
    (tmp_path / "boot/firmware/skywire.yaml").write_bytes(data)
    told = [Told("log", ("printf", "%s\n", "wpa said correct horse; member of DE and 'my net' or home or one"))]
    log = read(make_archive(tmp_path, told, ()))["log.txt"]
    assert log == "wpa said <secret>; member of DE and 'my net' or home or one\n"


def test_what_is_no_secret_of_settings_is_not_taken_out() -> None:
    text = "identity: /data/identity/seed\nwatchdog: true\ninvite: ____\nkey: true\nrole: both\npin: 1\n# key: word\n"
    assert secrets_in(text.encode()) == set()
    bomb = "a: &a [x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert secrets_in((bomb + "password: hunter22\n").encode()) == {"hunter22"}
    assert len(secrets_in(b"password: [" * 50_000)) < 4_000


def test_ids_of_the_mesh_stay_and_a_missing_program_is_said(board: Path) -> None:
    status = json.dumps({"node_id": NODE_ID, "managers": [{"node_id": "ab" * 32}, {"node_id": None}]})
    told = [Told("mesh/node", ("printf", "%s", status)), Told("x", ("no-such-program",)), Told("y", ("false",))]
    pieces = read(make_archive(board, told, ()))
    assert json.loads(pieces["mesh/node.txt"])["node_id"] == NODE_ID
    assert pieces["x.txt"] == "no-such-program was not to be had: FileNotFoundError\n"
    assert "ended with 1" in pieces["y.txt"]


def test_the_archive_tells_no_time_and_no_owner(board: Path) -> None:
    told = (Told("a", ("echo", "a")),)
    first, second = make_archive(board, told), make_archive(board, told)
    assert first == second


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: [1, {b: secret}]", "a:\n- <number of 1>\n- b: <text of 6>\n"),
        ("? my password is a key\n: x", "<key of 20>: <text of 1>\n"),
        ("role: member", "role: member\n"),
        ("role: 'x y! z'", "role: <text of 6>\n"),
        ("[", "no YAML: 1 lines\n"),
        ("", "null\n...\n"),
    ],
)
def test_outlines(text: str, expected: str) -> None:
    assert outline(text) == expected


def test_a_second_asker_is_told_to_come_again(tmp_path: Path) -> None:
    """As systemd does it beyond MaxConnections: taken, and hung up."""
    path = tmp_path / "support.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def hang_up() -> None:
            asker, _ = listener.accept()
            asker.close()

        hangs_up = threading.Thread(target=hang_up)
        hangs_up.start()
        with pytest.raises(SupportError, match="made for another; ask again"), ask(Make(), path):
            pass
        hangs_up.join(10)
