"""Reads `config.yaml`, in the original's form with optional keys beyond it, the deployed entries in `apps.d`
beside it, and the applications that came with the machine's image, which both may set otherwise in part.

A key that this version does not act on is refused, never silently ignored. Nothing here starts a program or
looks at the disk beyond these files. How one value is read is in `app_keys`.
"""

from __future__ import annotations

import graphlib
import re
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from viscript.errors import ConfigError
from viscript.launcher.app_keys import FIXED_KEYS, IMAGE_KEYS, KEYS
from viscript.launcher.model import App, Config
from viscript.launcher.yaml_nodes import NodeReader, compose, read_text

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT_CONFIG = "default_config.yaml"
DEPLOYED = "apps.d"
"""Folder beside the configuration; each file in it is a configuration of its own, for one deployed application."""


def load_config(path: Path | None, image: Path | None = None) -> Config:
    """The file's configuration, or the packaged default when there is no such file, laid over the applications of
    the image, with what was deployed laid over both. Raises ConfigError.
    """
    given = load_image(image)
    config = _load_one(path, given)
    apps = given | config.apps
    for file in _deployed(path) if path is not None else ():
        apps |= parse_config(read_text(file), str(file), known=frozenset(apps), image=given).apps
    _check_order(apps, config.source)
    return msgspec.structs.replace(config, apps=apps, image=given)


def load_image(path: Path | None) -> dict[str, App]:
    """The applications that came with the machine. Raises ConfigError; none, when no file is named."""
    if path is None:
        return {}
    try:
        return _parse(read_text(path), str(path), frozenset(), None).apps
    except FileNotFoundError:
        raise ConfigError(f"{path}: the image's applications are missing (correct --image)") from None


def parse_config(
    text: str, source: str, known: frozenset[str] = frozenset(), image: dict[str, App] | None = None
) -> Config:
    """Raises ConfigError, whose text begins with `source:line:`. `known` are applications of other files, which
    `after` may name too; an entry of one in `image` needs to say only what is to be otherwise.
    """
    return _parse(text, source, known, image or {})


def _deployed(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.joinpath(DEPLOYED).glob("*.yaml"))
    except OSError as error:
        raise ConfigError(f"{path.parent / DEPLOYED}: cannot be read: {error.strerror}") from error


def _load_one(path: Path | None, image: dict[str, App]) -> Config:
    if path is not None:
        try:
            return parse_config(read_text(path), str(path), image=image)
        except FileNotFoundError:
            pass
    text = resources.files("viscript").joinpath(DEFAULT_CONFIG).read_text("utf-8")
    return parse_config(text, DEFAULT_CONFIG, image=image)


def _parse(text: str, source: str, known: frozenset[str], image: dict[str, App] | None) -> Config:
    """`image` is None for the image's own file."""
    root = compose(text, source)
    reader = NodeReader(source)
    top = reader.mapping(root, "the file", {"apps", "settings"})
    if "apps" not in top:
        raise ConfigError(f"{source}:1: key 'apps' is missing")
    settings = reader.mapping(top["settings"], "settings", {"runHeadless"}) if "settings" in top else {}
    headless = settings.get("runHeadless")
    nodes = _app_nodes(reader, top["apps"])
    others = known | nodes.keys() | (image or {}).keys()
    apps = {name: _read_app(reader, name, node, others, image) for name, node in nodes.items()}
    _check_order(apps, source)
    return Config(
        apps=apps,
        run_headless=True if headless is None else reader.boolean(headless, "settings.runHeadless"),
        source=source,
    )


def order(apps: dict[str, App]) -> tuple[str, ...]:
    """The names so that each comes behind those it starts after. Raises graphlib.CycleError."""
    graph = {name: [earlier for earlier in app.after if earlier in apps] for name, app in apps.items()}
    return tuple(graphlib.TopologicalSorter(graph).static_order())


def _check_order(apps: dict[str, App], source: str) -> None:
    try:
        order(apps)
    except graphlib.CycleError as error:
        circle = " after ".join(f"'{name}'" for name in reversed(error.args[1]))
        raise ConfigError(f"{source}: key 'after' goes in a circle: {circle}") from error


def _app_nodes(reader: NodeReader, node: yaml.Node) -> dict[str, yaml.Node]:
    apps = reader.mapping(node, "apps", None)
    for name, entry in apps.items():
        if not NAME.fullmatch(name):
            raise reader.fail(entry, f"apps.{name}", "a name of letters, digits, '.', '_' and '-'")
    return apps


def _read_app(
    reader: NodeReader, name: str, node: yaml.Node, known: frozenset[str], image: dict[str, App] | None
) -> App:
    keys = KEYS | IMAGE_KEYS
    entries = reader.mapping(node, f"apps.{name}", set(keys))
    given = None if image is None else image.get(name)
    refused = FIXED_KEYS if given is not None else IMAGE_KEYS if image is not None else frozenset[str]()
    for key in [key for key in entries if key in refused]:
        raise reader.fail(entries[key], f"apps.{name}.{key}", "it left out: the image alone says it")
    if given is None and "path" not in entries:
        raise reader.fail(node, f"apps.{name}.path", "the program's path")
    values = {key: keys[key](reader, value, f"apps.{name}.{key}") for key, value in entries.items()}
    if not values.get("path", "given"):
        raise reader.fail(entries["path"], f"apps.{name}.path", "the program's path")
    app = App(name=name, **values) if given is None else msgspec.structs.replace(given, **values)  # type: ignore[arg-type]
    for earlier in app.after:
        if earlier not in known or earlier == name:
            raise reader.fail(entries["after"], f"apps.{name}.after", f"names of other apps; '{earlier}' is not one")
    return app
