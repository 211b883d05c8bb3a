"""Reads `config.yaml`, in the original's form with optional keys beyond it, and the deployed entries in
`apps.d` beside it.

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
from viscript.launcher.app_keys import KEYS
from viscript.launcher.model import App, Config
from viscript.launcher.yaml_nodes import NodeReader, compose, read_text

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
DEFAULT_CONFIG = "default_config.yaml"
DEPLOYED = "apps.d"
"""Folder beside the configuration; each file in it is a configuration of its own, for one deployed application."""


def load_config(path: Path | None) -> Config:
    """The file's configuration, or the packaged default when there is no such file, with what was deployed laid
    over it. Raises ConfigError.
    """
    config = _load_one(path)
    if path is None:
        return config
    apps = dict(config.apps)
    try:
        deployed = sorted(path.parent.joinpath(DEPLOYED).glob("*.yaml"))
    except OSError as error:
        raise ConfigError(f"{path.parent / DEPLOYED}: cannot be read: {error.strerror}") from error
    for file in deployed:
        apps |= parse_config(read_text(file), str(file), known=frozenset(apps)).apps
    _check_order(apps, config.source)
    return msgspec.structs.replace(config, apps=apps)


def _load_one(path: Path | None) -> Config:
    if path is not None:
        try:
            return parse_config(read_text(path), str(path))
        except FileNotFoundError:
            pass
    return parse_config(resources.files("viscript").joinpath(DEFAULT_CONFIG).read_text("utf-8"), DEFAULT_CONFIG)


def parse_config(text: str, source: str, known: frozenset[str] = frozenset()) -> Config:
    """Raises ConfigError, whose text begins with `source:line:`. `known` are applications of other files, which
    `after` may name too.
    """
    root = compose(text, source)
    reader = NodeReader(source)
    top = reader.mapping(root, "the file", {"apps", "settings"})
    if "apps" not in top:
        raise ConfigError(f"{source}:1: key 'apps' is missing")
    settings = reader.mapping(top["settings"], "settings", {"runHeadless"}) if "settings" in top else {}
    headless = settings.get("runHeadless")
    nodes = _app_nodes(reader, top["apps"])
    apps = {name: _read_app(reader, name, node, known | nodes.keys()) for name, node in nodes.items()}
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


def _read_app(reader: NodeReader, name: str, node: yaml.Node, known: frozenset[str]) -> App:
    entries = reader.mapping(node, f"apps.{name}", set(KEYS))
    if "path" not in entries:
        raise reader.fail(node, f"apps.{name}.path", "the program's path")
    values = {key: KEYS[key](reader, value, f"apps.{name}.{key}") for key, value in entries.items()}
    if not values["path"]:
        raise reader.fail(entries["path"], f"apps.{name}.path", "the program's path")
    app = App(name=name, **values)  # type: ignore[arg-type]
    for earlier in app.after:
        if earlier not in known or earlier == name:
            raise reader.fail(entries["after"], f"apps.{name}.after", f"names of other apps; '{earlier}' is not one")
    return app
