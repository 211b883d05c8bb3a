"""Applications that an operator adds from afar: what may be added, how it is written down, and where.

An operator chooses among the programs this machine's own configuration names and gives them other settings;
nothing here brings a new program onto it, or a right that its entry does not have. Used by the starter, as
root, and by process groups alike.
"""

from __future__ import annotations

import re
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING

import msgspec
import yaml

from viscript.durable import write_whole
from viscript.errors import ConfigError, StartError, UsageError
from viscript.launcher.app_keys import IMAGE_KEYS
from viscript.launcher.config import DEFAULT_CONFIG, DEPLOYED, NAME, parse_config
from viscript.launcher.model import App, Config, Restart, check_arguments
from viscript.launcher.starter.argv import MEMORY_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_TEXT_BYTES = 32 * 1024
MAX_DEPLOYED = 100
FORBIDDEN_VARIABLES = re.compile(
    r"(LD_|PYTHON|SIGNAL_|VISCRIPT_|BASH_|GLIBC_|MALLOC_|OPENSSL_|PERL|NODE_|RUBY|LUA_|JAVA_|JDK_|_JAVA_|GIT_).*"
    r"|ENV|PATH|IFS|HOME|GCONV_PATH|NLSPATH|LOCPATH|SHELLOPTS|PS4"
)
"""What would make a program load other code than its own, or speak for another."""


def add_entry(directory: Path, name: str, entry: App, known: Config) -> None:
    """Check, render and write. Raises UsageError or StartError."""
    check_deployable(name, entry, known)
    write_entry(directory / DEPLOYED, name, render_entry(name, entry))


def check_deployable(name: str, entry: App, known: Config) -> None:
    """Raises UsageError for an entry that may not be added beside those known."""
    if not NAME.fullmatch(name) or entry.name != name:
        raise UsageError(f"'{name[:80]}' is not an application's name")
    same = [app for app in known.apps.values() if app.path == entry.path]
    same = same or [app for app in _packaged() if app.path == entry.path]
    if not same:
        raise UsageError(f"'{name}': path '{entry.path[:200]}' is not one that this machine's configuration names")
    if name in known.image:
        raise UsageError(f"'{name}' comes with this machine's image (set it otherwise in this machine's configuration)")
    if entry.user is not None:
        raise UsageError(f"'{name}': 'user' cannot be deployed (write it into this machine's own configuration)")
    for key in IMAGE_KEYS:
        if getattr(entry, key):
            raise UsageError(f"'{name}': '{key}' cannot be deployed: a machine's image alone may say it")
    if all(app.user is not None for app in same):
        raise UsageError(f"'{name}': such a program runs as user '{same[0].user}' here, which cannot be deployed")
    forbidden = next((variable for variable in entry.env if FORBIDDEN_VARIABLES.fullmatch(variable)), None)
    if forbidden is not None:
        raise UsageError(f"'{name}': variable '{forbidden}' cannot be deployed")
    limit = max(app.memory_max or MEMORY_MAX for app in same)
    if (entry.memory_max or 0) > limit:
        raise UsageError(
            f"'{name}': memory_max {entry.memory_max} is over the {limit} bytes that such a program has here"
        )
    check_arguments(entry.default_args)
    _check_readable(name, entry, known)


def render_entry(name: str, entry: App) -> str:
    """A configuration with that one application, ASCII only; reading it gives the entry back."""
    told = msgspec.structs.asdict(entry)
    values = {key: _plain(value) for key, value in told.items() if key != "name" and value != _DEFAULTS[key]}
    return yaml.safe_dump({"apps": {name: values}}, sort_keys=False, width=100)


def write_entry(directory: Path, name: str, text: str) -> None:
    """Whole or not at all, also when the power goes. Raises StartError."""
    try:
        files = {file.name for file in directory.glob("*.yaml")} - {f"{name}.yaml"}
        if len(files) >= MAX_DEPLOYED:
            raise StartError(f"{len(files)} applications are deployed, which is the most there may be")
        write_whole(directory / f"{name}.yaml", text.encode(), 0o644)
    except OSError as error:
        raise StartError(f"cannot write '{directory / name}.yaml': {error.strerror}") from error


_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(App)} | {"env": {}}


def _plain(value: object) -> object:
    """As YAML writes it. Decimals are kept as text, for the exponent that YAML would write is not read back."""
    match value:
        case Restart():
            return value.value
        case float():
            return f"{Decimal(repr(value)):f}"
        case tuple():
            return list(value)
        case _:
            return value


def _packaged() -> Iterable[App]:
    text = resources.files("viscript").joinpath(DEFAULT_CONFIG).read_text("utf-8")
    return parse_config(text, DEFAULT_CONFIG).apps.values()


def _check_readable(name: str, entry: App, known: Config) -> None:
    """The reader's own rules are the rules for each value."""
    try:
        text = render_entry(name, entry)
        read = parse_config(text, name, known=frozenset(known.apps)).apps[name]
    except ConfigError as error:
        raise UsageError(f"'{name}' cannot be deployed: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"'{name}' holds what cannot be written down: {error}") from error
    if len(text) > MAX_TEXT_BYTES:
        raise UsageError(f"'{name}': its entry has {len(text)} bytes, at most {MAX_TEXT_BYTES} are allowed")
    if read != entry:
        raise UsageError(f"'{name}' holds what cannot be written down")
