"""modules.yaml against the kernel: what programs and emulated devices ask for by alias is on the card."""

import re

import pytest

from image.steps.kernel import Kernel, ModuleIndex, module_name, read_modules
from tests.image.drivers import Drivers

pytestmark = pytest.mark.image

# What the kernel calls modprobe with (request_module) when a program wants the thing, and udev's modaliases.
REQUESTS = {
    "wireguard": "rtnl-link-wireguard",
    "vxlan": "rtnl-link-vxlan",
    "veth, for namespaces": "rtnl-link-veth",
    "dummy": "rtnl-link-dummy",
    "tun": "devname:net/tun",
    "loop, for bundles": "devname:loop-control",
    "nft: tables": "nfnetlink-subsys-10",
    "nft: connections": "nfnetlink-subsys-1",
    "nft: ct": "nft-expr-ct",
    "nft: NAT chain in inet": "nft-chain-1-nat",
    "nft: nat": "nft-expr-nat",
    "nft: masquerade": "nft-expr-masq",
    "nft: redirect": "nft-expr-redir",
    "nft: limit": "nft-expr-limit",
    "nft: quota": "nft-expr-quota",
    "nft: quota of a client": "nft-obj-2",
    "nft: limit of a client": "nft-obj-4",
    "nft: fib in inet": "nft-expr-1-fib",
    "nft: reject in inet": "nft-expr-1-reject",
    "nft: reject in ip": "nft-expr-2-reject",
    "nft: reject in ip6": "nft-expr-10-reject",
    "nft: log": "nft-expr-log",
    "nft: logger": "nf-logger-2-0",
    "nft: socket": "nft-expr-socket",
    "nft: tproxy": "nft-expr-tproxy",
    "nft: count of connections": "nft-expr-connlimit",
    "nft: flow offload": "nft-expr-flow_offload",
    "nft: flow table in inet": "nf-flowtable-1",
    "nft: numgen": "nft-expr-numgen",
    "nft: hash": "nft-expr-hash",
    "ss: TCP": "net-pf-16-proto-4-type-2-6",
    "ss: UDP": "net-pf-16-proto-4-type-2-17",
    "ss: UNIX": "net-pf-16-proto-4-type-1",
    "gpio-sim's device": "of:NgpioT(null)Cgpio-simulator",
    "QEMU: gpio-keys": "of:Ngpio-keysT(null)Cgpio-keys",
    "QEMU: virtio-mmio": "of:Nvirtio_mmioT(null)Cvirtio,mmio",
    "QEMU: virtio-net": "virtio:d00000001v00000554",
    "QEMU: virtio-blk": "virtio:d00000002v00000554",
    "QEMU: virtio-rng": "virtio:d00000004v00000554",
    "QEMU: i6300esb": "pci:v00008086d000025ABsv00001AF4sd00001100bc08sc80i00",
    "QEMU: usb-net as Ethernet": "usb:v0525pA4A2d0000dc02dsc00dp00ic02isc06ip00in00",
    "QEMU: usb-net as RNDIS": "usb:v0525pA4A2d0000dc02dsc00dp00ic02isc02ipFFin00",
    "Wi-Fi of Pi 3 and Zero 2 W": "sdio:c00v02D0dA9A6",
    "Wi-Fi of Pi 4 and 5": "sdio:c00v02D0dA9BF",
    "USB 3 of Pi 4 (VL805)": "pci:v00001106d00003483sv00001106sd00003483bc0Csc03i30",
    "USB Ethernet: Realtek": "usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00",
    "USB Ethernet: ASIX": "usb:v0B95p1790d0100dcFFdscFFdp00icFFiscFFip00in00",
    "PHY of Pi 3B (LAN9514)": f"mdio:{0x0007C0F0:032b}",
    "PHY of Pi 3B+ (LAN7515)": f"mdio:{0x0007C132:032b}",
    "PHY of Pi 4 and 5 (BCM54213PE)": f"mdio:{0x600D84A2:032b}",
    "watchdog of the Pis": "platform:bcm2835-wdt",
    "frequency of the Pis": "platform:raspberrypi-cpufreq",
    "boot partition": "fs-vfat",
}
# Asked for by their own name.
NAMES = ["dm-mod", "dm-verity", "gpio-sim", "i6300esb", "nls_ascii", "nls_cp437", "brcmfmac-cyw", "brcmfmac-wcc"]
# Built in, without which nothing above works: mmc and its block driver, PL061, networking, the console.
SYMBOLS = [
    "CONFIGFS_FS", "CRYPTO_SHA256", "GPIO_CDEV", "GPIO_PL061", "IPV6_MULTIPLE_TABLES", "MMC", "MMC_BLOCK",
    "NF_TABLES_INET", "PACKET", "PCI_HOST_GENERIC", "RD_ZSTD", "SERIAL_8250_CONSOLE", "SERIAL_AMBA_PL011_CONSOLE",
    "SQUASHFS_ZSTD", "UNIX", "VIRTIO_PCI",
]  # fmt: skip
# jbd2 names it still, but takes CRC-32C from the kernel's library (CONFIG_CRC32).
STALE_SOFT = {"crypto_crc32c"}


@pytest.fixture(scope="module")
def index(kernel: Kernel) -> ModuleIndex:
    return ModuleIndex(kernel.modules)


@pytest.fixture(scope="module")
def chosen(index: ModuleIndex) -> set[str]:
    return {module_name(path) for path in index.closure([name for group in read_modules().values() for name in group])}


@pytest.mark.parametrize("wish", REQUESTS)
def test_what_is_asked_for_is_there(wish: str, drivers: Drivers, chosen: set[str], index: ModuleIndex) -> None:
    found = set(drivers.named(REQUESTS[wish]))
    assert found, f"this kernel has nothing for {REQUESTS[wish]}"
    assert found & (chosen | index.builtin)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_asked_for_by_name_is_there(name: str, chosen: set[str]) -> None:
    assert module_name(name) in chosen


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_what_no_list_can_add_is_built_in(symbol: str, drivers: Drivers, chosen: set[str]) -> None:
    assert drivers.config.get(f"CONFIG_{symbol}") == "y" or symbol.removesuffix("_FS").lower() in chosen


def test_soft_dependencies_are_there_too(kernel: Kernel, chosen: set[str], index: ModuleIndex) -> None:
    """depmod's `softdep` lines name what modprobe loads beforehand and modules.dep does not know."""
    missing = []
    for line in (kernel.modules / "modules.softdep").read_text().splitlines():
        if found := re.match(r"softdep (\S+) (?:pre|post): (.*)", line):
            wanted = {module_name(word) for word in found[2].split() if not word.endswith(":")}
            if module_name(found[1]) in chosen:
                missing += sorted(wanted - chosen - index.builtin - STALE_SOFT)
    assert missing == []


def test_the_initramfs_loads_in_an_order_in_which_insmod_succeeds(index: ModuleIndex, kernel: Kernel) -> None:
    order = index.closure(read_modules()["initramfs"])
    rows = dict(line.split(":") for line in (kernel.modules / "modules.dep").read_text().splitlines())
    for place, path in enumerate(order):
        assert set(rows[path].split()) <= set(order[:place]), path


def test_the_list_stays_short(index: ModuleIndex, chosen: set[str]) -> None:
    """All of Debian's are over 4,000. More than this is no accident: raise it when that is meant."""
    assert len(chosen) <= 150
    assert not chosen & {"bluetooth", "drm", "mac80211", "sound", "scsi_mod", "hid"}
