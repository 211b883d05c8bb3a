"""The choice of modules on a made-up kernel, and the packing of kernel and modules."""

import gzip
import lzma
from pathlib import Path

import pytest

from image.errors import ImageError, RecipeError
from image.steps.kernel import (
    Kernel,
    ModuleIndex,
    compress_kernel,
    module_name,
    open_kernel,
    read_modules,
    write_module,
)

DEPENDENCIES = """\
kernel/net/wireguard.ko.xz: kernel/net/udp_tunnel.ko.xz kernel/lib/curve-25519.ko.xz
kernel/net/udp_tunnel.ko.xz:
kernel/lib/curve-25519.ko.xz:
kernel/drivers/dm-verity.ko.xz: kernel/drivers/dm-bufio.ko.xz kernel/drivers/dm-mod.ko.xz
kernel/drivers/dm-bufio.ko.xz: kernel/drivers/dm-mod.ko.xz
kernel/drivers/dm-mod.ko.xz:
kernel/net/netfilter/nft_ct.ko:
kernel/net/bridge/nft_ct_bridge.ko:
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    folder = tmp_path / "lib/modules/1.2.3"
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text(DEPENDENCIES)
    (folder / "modules.builtin").write_text("kernel/crypto/sha256-arm.ko\n")
    return folder


def test_what_a_module_needs_comes_before_it_and_once(modules: Path) -> None:
    order = [module_name(path) for path in ModuleIndex(modules).closure(["dm-verity", "dm_mod", "wireguard"])]
    assert order == ["dm_mod", "dm_bufio", "dm_verity", "curve_25519", "udp_tunnel", "wireguard"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("nft_ct", ["kernel/net/netfilter/nft_ct.ko"]),
        ("nft_*", ["kernel/net/bridge/nft_ct_bridge.ko", "kernel/net/netfilter/nft_ct.ko"]),
        ("net/netfilter/nft_*", ["kernel/net/netfilter/nft_ct.ko"]),
        ("sha256-arm", []),
    ],
)
def test_a_name_or_pattern_means_modules(modules: Path, pattern: str, found: list[str]) -> None:
    assert ModuleIndex(modules).paths(pattern) == found


@pytest.mark.parametrize("pattern", ["wiregard", "net/nothing_*"])
def test_a_name_that_means_nothing_is_an_error(modules: Path, pattern: str) -> None:
    with pytest.raises(
        RecipeError, match=rf"module '{pattern.replace('*', '.')}' is not in this kernel .*modules.yaml"
    ):
        ModuleIndex(modules).closure([pattern])


def test_modules_go_onto_the_card_uncompressed(modules: Path, tmp_path: Path) -> None:
    kernel = Kernel("1.2.3", tmp_path, modules / "dtb")
    (modules / "a.ko.xz").write_bytes(lzma.compress(b"module"))
    (modules / "b.ko").write_bytes(b"module")
    for name in ("a.ko.xz", "b.ko"):
        write_module(kernel, name, tmp_path / "card/x/m.ko")
        assert (tmp_path / "card/x/m.ko").read_bytes() == b"module"


def test_the_kernel_is_packed_to_the_same_bytes_whatever_its_name(modules: Path, tmp_path: Path) -> None:
    (modules / "vmlinuz").write_bytes(b"kernel" * 100)
    for name in ("one", "two"):
        compress_kernel(Kernel("1.2.3", tmp_path, modules), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    (modules / "vmlinuz").write_bytes(gzip.compress(b"packed"))
    compress_kernel(Kernel("1.2.3", tmp_path, modules), tmp_path / "three")
    assert gzip.decompress((tmp_path / "three").read_bytes()) == b"packed"


def test_two_kernels_in_one_tree_are_an_error(modules: Path, tmp_path: Path) -> None:
    assert open_kernel(tmp_path).modules == modules
    (tmp_path / "lib/modules/1.2.4").mkdir()
    with pytest.raises(ImageError, match=r"expected one kernel in .*, found 2"):
        open_kernel(tmp_path)


@pytest.mark.parametrize("text", ["boards: wireguard", "boards: [1]", "boards: ["])
def test_a_wrong_list_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "modules.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"(?s)modules '.*/modules.yaml': .* \(correct the file\)"):
        read_modules(tmp_path / "modules.yaml")
