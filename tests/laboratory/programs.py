"""Reads the programs of a topology file. What they are told of their host stands as ${…}: see `templates`."""

from __future__ import annotations

from fnmatch import fnmatchcase

import yaml

from tests.laboratory.model import By, Program, Ready
from tests.laboratory.reader import Reader
from tests.laboratory.templates import unknown_words

PLAIN = (By.START, By.NOTIFY, By.END)


def read_programs(read: Reader, node: yaml.Node, hosts: list[str]) -> tuple[Program, ...]:
    entries = read.mapping(node, "programs", None)
    return tuple(_read_program(read, name, entry, hosts) for name, entry in entries.items())


def _read_program(read: Reader, name: str, node: yaml.Node, hosts: list[str]) -> Program:
    keys = read.mapping(node, f"program '{name}'", {"hosts", "argv", "env", "files", "ready", "within"})
    if "argv" not in keys:
        raise read.fail(node, "argv", f"one for program '{name}'")
    within_s = read.seconds(keys["within"], "within") if "within" in keys else Ready().within_s
    program = Program(
        name=name,
        hosts=_read_hosts(read, keys["hosts"], hosts) if "hosts" in keys else tuple(hosts),
        argv=read.words(keys["argv"], "argv"),
        env=_read_texts(read, keys["env"], "env") if "env" in keys else {},
        files=_read_texts(read, keys["files"], "files") if "files" in keys else {},
        ready=_read_ready(read, keys["ready"], within_s) if "ready" in keys else Ready(within_s=within_s),
    )
    for key, texts in {"argv": program.argv, "env": program.env.values(), "files": program.files.values()}.items():
        wrong = [word for text in texts for word in unknown_words(text, hosts)]
        if wrong:
            raise read.fail(keys[key], key, f"only words that the lab fills in, not '${{{wrong[0]}}}'")
    for path in program.files:
        if path.startswith("/") or ".." in path.split("/"):
            raise read.fail(keys["files"], "files", f"paths inside the host's folder, not '{path}'")
    return program


def _read_hosts(read: Reader, node: yaml.Node, hosts: list[str]) -> tuple[str, ...]:
    found: list[str] = []
    for item in read.items(node, "hosts"):
        pattern = read.text(item, "hosts")
        matching = [host for host in hosts if fnmatchcase(host, pattern)]
        if not matching:
            raise read.fail(item, "hosts", "a pattern that fits a host of this file")
        found += matching
    return tuple(host for host in hosts if host in found)


def _read_texts(read: Reader, node: yaml.Node, key: str) -> dict[str, str]:
    return {name: read.argument(value, key) for name, value in read.mapping(node, key, None).items()}


def _read_ready(read: Reader, node: yaml.Node, within_s: float) -> Ready:
    if isinstance(node, yaml.ScalarNode):
        by = read.one_of(node, "ready", By)
        if by in PLAIN:
            return Ready(by, within_s=within_s)
    else:
        with_text = {by.value for by in By if by not in PLAIN}
        for name, value in read.mapping(node, "ready", with_text).items():
            return Ready(By(name), read.argument(value, "ready"), within_s)
    raise read.fail(node, "ready", 'start, notify, end, or one of {line: "…"}, {socket: "…"} and {tcp: "…"}')
