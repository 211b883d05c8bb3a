"""The bill of materials: what the image is made of, as CycloneDX 1.6 JSON (ECMA-424), which scanners for known
vulnerabilities read. The same packages give the same bytes.

Debian's packages with the hash of the file that was installed, and the licences that its copyright file names (DEP 5);
Python libraries with the hash of the wheel; our own code.
"""

import re
import tomllib
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_OID, uuid5

import msgspec

from image.errors import CommandError, ImageError
from image.recipe import HERE, Recipe
from image.run import Runner
from image.steps.packages import Package, in_pool
from image.steps.root import WHEELS

PROJECT = HERE.parent / "pyproject.toml"
LICENCE = re.compile(r"^License:[ \t]*(\S.{0,120}?)[ \t]*$", re.MULTILINE)
CLASSIFIER = "License :: OSI Approved :: "

Licences = dict[str, list[str]]


class _Archive(msgspec.Struct):
    hashes: dict[str, str] = {}


class _Download(msgspec.Struct):
    archive_info: _Archive


class _Metadata(msgspec.Struct):
    name: str


class _Wheel(msgspec.Struct):
    download_info: _Download
    metadata: _Metadata


class _Report(msgspec.Struct):
    """What `pip install --report` wrote, as far as it is read."""

    install: list[_Wheel]


def read_licences(run: Runner, packages: list[Package], pool: Path, target: Path) -> None:
    """Writes package → names of the licences in its copyright file, as JSON. A file without a form names none."""
    found: Licences = {}
    for package in packages:
        name, deb = f"./usr/share/doc/{package.name}/copyright", in_pool(pool, package)
        try:
            data = run("sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar --extract --to-stdout "$1"', deb, name)
        except CommandError:
            continue  # a link to another package's, which is listed too
        found[package.name] = sorted(set(LICENCE.findall(data.decode(errors="replace"))))
    target.write_bytes(msgspec.json.encode(found, order="sorted"))


def render_sbom(recipe: Recipe, packages: list[Package], licences: Path, libraries: Path, version: str) -> bytes:
    """The whole document; `version` is the slot's, `libraries` the folder that the wheels were installed into."""
    named = msgspec.json.decode(licences.read_bytes(), type=Licences)
    debian = [_debian(package, recipe.debian.suite, named.get(package.name, [])) for package in packages]
    python = _python(libraries)
    own = _own(version)
    components = sorted([*debian, *python], key=lambda component: component["bom-ref"])
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(recipe.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": own,
        },
        "components": components,
        "dependencies": [{"ref": own["bom-ref"], "dependsOn": [component["bom-ref"] for component in components]}],
    }
    serial = uuid5(NAMESPACE_OID, msgspec.json.encode(document).decode())
    return msgspec.json.format(msgspec.json.encode({"serialNumber": f"urn:uuid:{serial}"} | document)) + b"\n"


def _debian(package: Package, suite: str, licences: list[str]) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{quote(package.name, safe='')}@{quote(package.version, safe='~')}?distro={suite}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        **_licensed(licences),
        "properties": [{"name": "skywire:use", "value": "installed" if package.installed else "unpacked"}],
    }


def _python(libraries: Path) -> list[dict[str, Any]]:
    report = msgspec.json.decode((libraries / WHEELS).read_bytes(), type=_Report)
    hashes = {_plain(wheel.metadata.name): wheel.download_info.archive_info.hashes for wheel in report.install}
    found = []
    for path in sorted(libraries.glob("*.dist-info/METADATA")):
        told = HeaderParser().parsestr(path.read_text(errors="replace"))
        name, version = _plain(told["Name"]), told["Version"]
        if "sha256" not in hashes.get(name, {}):
            raise ImageError(f"pip did not say which wheel of '{name}' it installed (remove the cache's python folder)")
        purl = f"pkg:pypi/{name}@{quote(version, safe='~')}"
        found.append(
            {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "purl": purl,
                "hashes": [{"alg": "SHA-256", "content": hashes[name]["sha256"]}],
                **_python_licence(told),
                "properties": [{"name": "skywire:use", "value": "library"}],
            }
        )
    return found


def _python_licence(told: Any) -> dict[str, Any]:
    """An SPDX expression where the wheel has one, else what its classifiers or its own words say."""
    if expression := told["License-Expression"]:
        return {"licenses": [{"expression": expression}]}
    named = [line.removeprefix(CLASSIFIER) for line in told.get_all("Classifier", []) if line.startswith(CLASSIFIER)]
    words = (told["License"] or "").splitlines()
    return _licensed(named or [line for line in words[:1] if line and len(words) == 1])


def _own(version: str) -> dict[str, Any]:
    project = tomllib.loads(PROJECT.read_text())["project"]
    purl = f"pkg:generic/{project['name']}@{quote(version, safe='~')}"
    return {
        "type": "operating-system",
        "bom-ref": purl,
        "name": project["name"],
        "version": version,
        "description": project["description"],
        "purl": purl,
        "licenses": [{"license": {"id": project["license"]}}],
    }


def _licensed(names: list[str]) -> dict[str, Any]:
    return {"licenses": [{"license": {"name": name}} for name in names]} if names else {}


def _plain(name: str) -> str:
    """As package indexes write names (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
