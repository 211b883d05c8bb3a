"""Every board's device tree against the kernel: the SD card can be reached, what we use has its driver on the card."""

import fnmatch

import pytest

from image.boards import HERE, read_boards
from image.steps.kernel import Kernel, ModuleIndex, module_name, read_modules
from skywire_board.boards import read_boards as read_card_boards
from tests.image.devicetree import Node, Tree
from tests.image.drivers import CORE, ENUMERATED, UNUSED, Drivers

pytestmark = pytest.mark.image
BOARDS = {dtb: board for board in read_boards() for dtb in board.dtb}
PI3, PI4, PI5 = "broadcom/bcm2837-rpi-3-b.dtb", "broadcom/bcm2711-rpi-4-b.dtb", "broadcom/bcm2712-rpi-5-b.dtb"
each_dtb = pytest.mark.parametrize("dtb", BOARDS)


def modules_of(kernel: Kernel, patterns: list[str]) -> set[str]:
    return {module_name(path) for path in ModuleIndex(kernel.modules).closure(patterns)}


def on_card(kernel: Kernel) -> set[str]:
    return modules_of(kernel, [name for names in read_modules().values() for name in names])


def undriven(nodes: list[Node], drivers: Drivers, there: set[str]) -> list[str]:
    """What keeps these devices from being taken up: 'path: module it wants', 'path: no driver for it'."""
    wrong = []
    for node in nodes:
        driver = drivers.find(node.compatible)
        if driver is None:
            wrong.append(f"{node.path}: no driver for {', '.join(node.compatible)}")
        elif driver.module and driver.module not in there:
            wrong.append(f"{node.path}: {driver.module}")
    return wrong


@each_dtb
def test_the_sd_card_needs_nothing_that_the_initramfs_lacks(dtb: str, kernel: Kernel, drivers: Drivers) -> None:
    tree = Tree(kernel.dtbs / dtb)
    chain = tree.chain(tree.sd_host())
    assert len(chain) >= 5, "a host has at least a bus, a clock and an interrupt"
    assert undriven(chain, drivers, modules_of(kernel, read_modules()["initramfs"])) == []


@pytest.mark.parametrize(
    ("dtb", "left_out", "wanted"),
    [
        (PI3, "bcm2835", "/soc/mmc@7e202000: bcm2835"),
        (PI4, "sdhci-iproc", "/emmc2-bus@fe000000/mmc@7e340000: sdhci_iproc"),
        (PI4, "fixed", "/regulator-sd-vcc: fixed"),
        (PI4, "gpio-regulator", "/regulator-sd-io-1v8: gpio_regulator"),
        (PI5, "sdhci-brcmstb", "/soc@107c000000/mmc@fff000: sdhci_brcmstb"),
        (PI5, "gpio-brcmstb", "/soc@107c000000/gpio@7d517c00: gpio_brcmstb"),
        (PI5, "pinctrl-brcmstb-bcm2712", "/soc@107c000000/pinctrl@7d510700: pinctrl_brcmstb_bcm2712"),
    ],
)
def test_a_module_left_out_is_seen(dtb: str, left_out: str, wanted: str, kernel: Kernel, drivers: Drivers) -> None:
    tree = Tree(kernel.dtbs / dtb)
    names = [name for name in read_modules()["initramfs"] if name != left_out]
    assert wanted in undriven(tree.chain(tree.sd_host()), drivers, modules_of(kernel, names))


@each_dtb
def test_every_device_is_driven_or_known_to_be_unused(dtb: str, kernel: Kernel, drivers: Drivers) -> None:
    devices = [node for node in Tree(kernel.dtbs / dtb).devices() if not unused(node)]
    assert undriven(devices, drivers, on_card(kernel)) == []


@pytest.mark.parametrize(
    ("dtb", "compatible"),
    [
        (PI3, "brcm,bcm2835-usb"),
        (PI3, "usb424,ec00"),
        (PI4, "brcm,bcm2711-genet-v5"),
        (PI4, "brcm,bcm2711-pcie"),
        (PI5, "brcm,bcm2712-pcie"),
        (PI5, "pci1de4,1"),
        (PI5, "raspberrypi,rp1-gem"),
        (PI5, "raspberrypi,rp1-gpio"),
        (PI5, "snps,dwc3"),
    ],
)
def test_what_waits_for_others_gets_them(dtb: str, compatible: str, kernel: Kernel, drivers: Drivers) -> None:
    """Ethernet, USB and the pins of the header, with all that they hang on."""
    tree = Tree(kernel.dtbs / dtb)
    found = [node for node in tree.devices() if compatible in node.compatible]
    assert found
    assert undriven([n for node in found for n in tree.chain(node)], drivers, on_card(kernel)) == []


def test_rp1_would_wait_for_its_interrupts_for_ever(kernel: Kernel, drivers: Drivers) -> None:
    tree = Tree(kernel.dtbs / PI5)
    chain = tree.chain(tree.alias("ethernet0"))
    assert "/axi/msi-controller@1000130000: irq_bcm2712_mip" in undriven(
        chain, drivers, on_card(kernel) - {"irq_bcm2712_mip"}
    )


@each_dtb
def test_the_console_is_the_uart_that_the_board_names(dtb: str, kernel: Kernel) -> None:
    """ttyS is 8250's name, ttyAMA PL011's; the number is that of the alias, if the device tree has one."""
    tree, console = Tree(kernel.dtbs / dtb), BOARDS[dtb].console
    kind, number = console.split(",")[0].rstrip("0123456789"), console.split(",")[0].lstrip("tyAMS")
    wanted = {"ttyS": "brcm,bcm2835-aux-uart", "ttyAMA": "arm,pl011"}[kind]
    assert wanted in tree.alias(f"serial{number}").compatible
    (default,) = tree.nodes["/chosen"].strings("stdout-path")
    assert default == f"serial{number}:115200n8"


@each_dtb
def test_board_file_and_device_tree_name_the_same_machine(dtb: str, kernel: Kernel) -> None:
    root = Tree(kernel.dtbs / dtb).root
    board = next(board for board in read_card_boards(HERE) if dtb in board.dtb)
    assert root.compatible[0] in board.compatible
    leds = [node for node in root.all() if node.parent and node.parent.compatible == ["gpio-leds"]]
    names = {label for led in leds for label in led.strings("label")}
    assert set(board.onboard_led) <= names
    assert bool(board.onboard_led) == bool(names)


def test_the_tables_have_no_stale_entry(kernel: Kernel, drivers: Drivers) -> None:
    words = {word for dtb in BOARDS for node in Tree(kernel.dtbs / dtb).devices() for word in node.compatible}
    assert [pattern for pattern in UNUSED if not fnmatch.filter(words, pattern)] == []
    assert sorted({*CORE, *ENUMERATED} - words) == []
    assert [f"{word}: {symbol}" for word, symbol in CORE.items() if drivers.config.get(f"CONFIG_{symbol}") != "y"] == []


def unused(node: Node) -> bool:
    return any(fnmatch.fnmatch(word, pattern) for word in node.compatible for pattern in UNUSED)
