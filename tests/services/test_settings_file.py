"""Settings files, good and bad: each error names its line, its key and what was found."""

from pathlib import Path

import msgspec
import pytest

from services.errors import SettingsError
from services.settings_file import MAX_BYTES, load_settings, parse_settings, read_settings


class Door(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    listen: str
    limit: int = 3

    def __post_init__(self) -> None:
        if ":" not in self.listen:
            raise ValueError(f"'{self.listen}' has no port")


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    folder: Path
    door: Door | None = None
    doors: tuple[Door, ...] = ()


def test_good_ones_become_words() -> None:
    text = 'folder: /var/x\ndoor: {listen: "[::]:1"}\ndoors:\n  - listen: a:2\n    limit: 4\n'
    wanted = Settings(Path("/var/x"), Door("[::]:1"), (Door("a:2", 4),))
    assert parse_settings(text, Settings, "f") == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "f:1: object missing required field 'folder'"),
        ("- 1", "f:1: expected 'object', got 'array'"),
        ("folder: /x\nfloder: /y", "f:2: unknown key 'floder'"),
        ("folder: /x\ndoor:\n  listen: a:1\n  what: 3", "f:4: key 'door': unknown key 'what'"),
        ("folder: /x\ndoor:\n  listen: 80", "f:3: key 'door.listen': expected 'str', got 'int', found '80'"),
        ("folder: /x\ndoors:\n  - listen: a:1\n  - listen: a", "f:4: key 'doors[1]': 'a' has no port"),
        ("folder: /x\nfolder: /y", "f:2: key 'folder' is given twice"),
        ("folder: 5", "f:1: key 'folder': expected a path, found '5'"),
        ("folder: [\n", "f:2: "),
        ("? [a]\n: 3", "f:1: no key"),
        ("folder: 2020-13-45", "f: month must be in 1..12"),
        ("folder: !!python/object:os.system x", "f:1: could not determine a constructor"),
    ],
)
def test_bad_ones_are_told_with_their_line(text: str, said: str) -> None:
    with pytest.raises(SettingsError) as error:
        parse_settings(text, Settings, "f")
    assert str(error.value).startswith(said)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: No such file"):
        read_settings(tmp_path / "none.yaml", Settings)
    big, binary = tmp_path / "big", tmp_path / "binary"
    big.write_bytes(b"#" * (MAX_BYTES + 1))
    binary.write_bytes(b"folder: \xff")
    with pytest.raises(SettingsError, match="larger than"):
        read_settings(big, Settings)
    with pytest.raises(SettingsError, match=r"not UTF-8 text \(byte 8\)"):
        read_settings(binary, Settings)


def test_a_file_lies_over_the_defaults_key_by_key(tmp_path: Path) -> None:
    defaults, own = tmp_path / "defaults.yaml", tmp_path / "own.yaml"
    defaults.write_text('folder: /var/x\ndoor: {listen: "a:1", limit: 7}\n')
    assert read_settings(own, Settings, defaults) == Settings(Path("/var/x"), Door("a:1", 7))
    own.write_text("\n\ndoor:\n  limit: 8\ndoors: [{listen: b:2}]")
    assert read_settings(own, Settings, defaults) == Settings(Path("/var/x"), Door("a:1", 8), (Door("b:2"),))
    own.write_text("\n\ndoor:\n  limit: x")
    with pytest.raises(SettingsError, match=r"own\.yaml:4: key 'door\.limit': expected 'int'"):
        read_settings(own, Settings, defaults)
    own.write_text("door:\n  limti: 1")
    with pytest.raises(SettingsError, match=r"own\.yaml:2: key 'door': unknown key 'limti'"):
        read_settings(own, Settings, defaults)
    own.write_text("folder: /y")
    defaults.write_text("\ndoor: {listen: 1}")
    with pytest.raises(SettingsError, match=r"defaults\.yaml:2: key 'door\.listen'"):
        read_settings(own, Settings, defaults)


def test_of_several_defaults_the_first_must_be_there(tmp_path: Path) -> None:
    image, joined, own = (tmp_path / f"{name}.yaml" for name in ("image", "joined", "own"))
    image.write_text('folder: /var/x\ndoor: {listen: "a:1", limit: 7}\n')
    assert read_settings(own, Settings, (image, joined)) == Settings(Path("/var/x"), Door("a:1", 7))
    joined.write_text("door: {limit: 8}\n")
    assert read_settings(own, Settings, (image, joined)) == Settings(Path("/var/x"), Door("a:1", 8))
    own.write_text("door: {limit: 9}\n")
    assert read_settings(own, Settings, (image, joined)) == Settings(Path("/var/x"), Door("a:1", 9))
    joined.write_text("\n\ndoor: {limit: x}\n")
    own.unlink()
    with pytest.raises(SettingsError, match=r"joined\.yaml:3: key 'door\.limit'"):
        read_settings(own, Settings, (image, joined))
    image.unlink()
    with pytest.raises(SettingsError, match=r"image\.yaml: cannot be read"):
        read_settings(own, Settings, (image, joined))


class Loose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    one: int = 1
    two: int = 2


def test_which_files_a_program_reads(tmp_path: Path) -> None:
    named, usual, defaults, none = (tmp_path / name for name in ("named", "usual", "defaults", "none"))
    named.write_text("one: 10")
    usual.write_text("one: 20")
    defaults.write_text("{one: 30, two: 30}")
    assert load_settings(Loose, None, None) == load_settings(Loose, None, (), none) == Loose()
    assert load_settings(Loose, None, None, usual) == Loose(20)
    assert load_settings(Loose, named, None, usual) == Loose(10)
    assert load_settings(Loose, None, defaults) == load_settings(Loose, none, (defaults,), usual) == Loose(30, 30)
    assert load_settings(Loose, None, defaults, usual) == Loose(20, 30)
    with pytest.raises(SettingsError, match=r"none: cannot be read"):
        load_settings(Loose, none, None, usual)
