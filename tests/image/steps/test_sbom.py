"""The bill of materials: CycloneDX's own schema accepts it, and the same packages give the same bytes."""

import json
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import msgspec
import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from image.errors import ImageError
from image.recipe import read_recipe
from image.run import Runner
from image.steps.packages import Package, in_pool
from image.steps.root import WHEELS
from image.steps.sbom import read_licences, render_sbom

SCHEMAS = [f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.6", "spdx", "jsf-0.82", "cryptography-defs")]
LIBC = Package("libc6", "2:2.41-12+deb13u1~x", "ab" * 32, 10, installed=True)
BOOT = Package("u-boot-rpi", "2025.01", "cd" * 32, 10, installed=False)
METADATA = "Metadata-Version: 2.4\nName: {}\nVersion: {}\n{}\n\nWords.\n"
VERSION = "0.1.0+0123456789ab"
NOT_ON_THE_CARD = {("python", "setuptools"), ("python", "win-inet-pton")}
"""Locked, but taken out again (image/steps/root.py), or for another system."""


@pytest.fixture(scope="module")
def schema() -> Draft7Validator:
    """They name one another by files beside the first one's own address."""
    folder = files("cyclonedx.schema") / "_res"
    texts = {name: json.loads((folder / name).read_text()) for name in SCHEMAS}
    main = texts[SCHEMAS[0]]
    places = [(urljoin(main["$id"], name), Resource.from_contents(text)) for name, text in texts.items()]
    registry: Registry[Any] = Registry().with_resources(places)
    return Draft7Validator(main, registry=registry)


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """As pip leaves a target folder."""
    folder = tmp_path / "libraries"
    told = {"click": ("8.5.1", "License-Expression: BSD-3-Clause"), "Nats_Py": ("2.16.0", "License: Apache")}
    told["old"] = ("1", "Classifier: License :: OSI Approved :: MIT License")
    for name, (version, line) in told.items():
        (folder / f"{name}-{version}.dist-info").mkdir(parents=True)
        (folder / f"{name}-{version}.dist-info/METADATA").write_text(METADATA.format(name, version, line))
    rows = [
        {
            "metadata": {"name": name},
            "download_info": {"url": "there", "archive_info": {"hashes": {"sha256": "ef" * 32}}},
        }
        for name in told
    ]
    (folder / WHEELS).write_bytes(msgspec.json.encode({"version": "1", "install": rows}))
    return folder


@pytest.fixture
def licences(tmp_path: Path) -> Path:
    path = tmp_path / "licences.json"
    path.write_text('{"libc6": ["LGPL-2.1+", "GPL-2"]}')
    return path


def test_the_schema_of_cyclonedx_accepts_it(schema: Draft7Validator, licences: Path, libraries: Path) -> None:
    document = json.loads(render_sbom(read_recipe(), [LIBC, BOOT], licences, libraries, VERSION))
    assert [error.message for error in schema.iter_errors(document)] == []
    assert not schema.is_valid(document | {"specVersion": 16}), "a schema that refuses nothing proves nothing"
    by_name = {component["name"]: component for component in document["components"]}
    assert set(by_name) == {"libc6", "u-boot-rpi", "click", "nats-py", "old"}
    assert by_name["libc6"]["purl"] == "pkg:deb/debian/libc6@2%3A2.41-12%2Bdeb13u1~x?distro=trixie"
    assert by_name["libc6"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert by_name["libc6"]["licenses"][0]["license"] == {"name": "LGPL-2.1+"}
    assert by_name["u-boot-rpi"]["properties"][0]["value"] == "unpacked"
    assert by_name["click"]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert by_name["old"]["licenses"] == [{"license": {"name": "MIT License"}}]
    assert document["metadata"]["component"]["version"] == VERSION
    (root,) = document["dependencies"]
    assert root["dependsOn"] == sorted(component["bom-ref"] for component in document["components"])


def test_the_same_packages_give_the_same_bytes(licences: Path, libraries: Path) -> None:
    once, again = (
        render_sbom(read_recipe(), packages, licences, libraries, VERSION) for packages in ([LIBC, BOOT], [BOOT, LIBC])
    )
    assert once == again
    other = render_sbom(read_recipe(), [LIBC], licences, libraries, VERSION)
    assert json.loads(other)["serialNumber"] != json.loads(once)["serialNumber"]


def test_a_wheel_that_pip_does_not_know_stops_the_build(licences: Path, libraries: Path) -> None:
    (libraries / "stray-1.dist-info").mkdir()
    (libraries / "stray-1.dist-info/METADATA").write_text(METADATA.format("stray", "1", "License: MIT"))
    with pytest.raises(ImageError, match="pip did not say which wheel of 'stray'"):
        render_sbom(read_recipe(), [], licences, libraries, VERSION)


def test_licences_are_read_from_a_package(tmp_path: Path) -> None:
    """A real .deb, made here."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb here")
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: thing\nVersion: 1\nArchitecture: all\nMaintainer: a <a>\nDescription: x\n"
    )
    (tree / "usr/share/doc/thing").mkdir(parents=True)
    (tree / "usr/share/doc/thing/copyright").write_text(
        "Files: *\nLicense: GPL-2+\n text\n\nFiles: b\nLicense: Expat\n"
    )
    thing, bare = Package("thing", "1", "1" * 64, 1, installed=True), Package("bare", "1", "2" * 64, 1, installed=True)
    for package in (thing, bare):
        subprocess.run(
            ["dpkg-deb", "--nocheck", "-b", tree, in_pool(tmp_path, package)], check=True, capture_output=True
        )
    with (tmp_path / "log").open("w") as log:
        read_licences(Runner(log, 0), [thing, bare], tmp_path, tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text()) == {"thing": ["Expat", "GPL-2+"]}


def flat(name: str) -> str:
    """As PEP 503 compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.image
def test_the_image_has_its_bill(schema: Draft7Validator) -> None:
    dist = Path(__file__).parents[3] / "dist"
    (path,) = dist.glob("*.cdx.json")
    document = json.loads(path.read_bytes())
    assert [error.message for error in schema.iter_errors(document)] == []
    manifest = path.with_name(f"{path.name.partition('.')[0]}.manifest.tsv").read_text().splitlines()[1:]
    locked = {(origin, flat(name)) for origin, name, *_ in (line.split("\t") for line in manifest)}
    told = {(part["purl"].partition("/")[0], flat(part["name"])) for part in document["components"]}
    found = {("debian" if kind == "pkg:deb" else "python", name) for kind, name in told}
    assert found <= locked
    assert locked - found == NOT_ON_THE_CARD
    assert path.name in (dist / "SHA256SUMS").read_text()
