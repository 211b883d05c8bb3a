"""Low voltage and heat. A Raspberry Pi's firmware tells the kernel of the first; every board has thermal zones.

Sources: the kernel's raspberrypi-hwmon (in0_lcrit_alarm), thermal sysfs; get_throttled's bits as the firmware's
documentation has them: 0 low voltage, 1 frequency capped, 2 throttled, 3 soft temperature limit, each now.
"""

from pathlib import Path

from skywire_board.checks.files import read_number, read_word
from skywire_board.model import Pattern, Severity, Trouble

THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
HOT_C = 80.0  # from here on the firmware slows the processor down
WARM_S = 15.0
LOW_VOLTAGE, SLOWED_BY_HEAT = 0x1, 0xC


def check_power(root: Path = Path("/")) -> Trouble | None:
    """None when the voltage suffices, or the board cannot tell."""
    throttled = _throttled(root)
    alarms = [path.parent for path in root.glob("sys/class/hwmon/hwmon*/in0_lcrit_alarm") if read_number(path)]
    if throttled & LOW_VOLTAGE or any(read_word(folder / "name") == "rpi_volt" for folder in alarms):
        return _warn("low-voltage", "low voltage", "below 4.63 V at the board: a better supply or cable")
    return None


def check_heat(root: Path = Path("/")) -> Trouble | None:
    """None when no thermal zone is too hot; above `HOT_C`, or the firmware slows down for heat."""
    zones = [read_number(path) or 0 for path in root.glob("sys/class/thermal/thermal_zone*/temp")]
    hottest_c = max(zones, default=0) / 1000
    if hottest_c >= HOT_C or _throttled(root) & SLOWED_BY_HEAT:
        return _warn("too-hot", "too hot", f"{hottest_c:.0f} °C, the processor is slowed down: air, or a heat sink")
    return None


def _throttled(root: Path) -> int:
    """The firmware's word, which the kernel prints in hexadecimal without 0x."""
    try:
        return int(read_word(root / THROTTLED) or "0", 16)
    except ValueError:
        return 0


def _warn(code: str, title: str, text: str) -> Trouble:
    return Trouble(code, title, Severity.WARN, text, visible_after_s=WARM_S, pattern=Pattern.POWER_OR_HEAT)
