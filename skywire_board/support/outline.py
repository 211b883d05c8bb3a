"""Settings as their keys: what is said stays away, but for values of a few keys that say how the board is set up.

A number may be a password that somebody wrote without quotes, so numbers are no exception.
"""

import re
from typing import Any

PLAIN_KEYS = frozenset({
    *("daemon", "autostart", "restart", "runHeadless", "role", "host", "watchdog", "country", "time_zone", "restart"),
    *("memory_max", "outside", "after", "status_led", "activity_led", "button", "leds_active_low", "onboard_led"),
    *("button_active_low", "button_pull", "chip", "admit", "relay", "resolver", "kind", "capabilities"),
})  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_PLAIN = re.compile(r"[A-Za-z0-9_./:, -]{0,64}")


def outline(text: str) -> str:
    """YAML whose values stand as what they are: `<text of 12>`."""
    import yaml  # noqa: PLC0415

    try:
        return str(yaml.safe_dump(_outlined(yaml.safe_load(text), ""), sort_keys=False))
    except (yaml.YAMLError, RecursionError, ValueError):
        return f"no YAML: {len(text.splitlines())} lines\n"


def _outlined(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {_name(name): _outlined(below, str(name)) for name, below in value.items()}
    if isinstance(value, list):
        return [_outlined(below, key) for below in value]
    if value is None or isinstance(value, bool):
        return value
    if key in PLAIN_KEYS and _PLAIN.fullmatch(str(value)):
        return value
    return f"<{'text' if isinstance(value, str) else 'number'} of {len(str(value))}>"


def _name(name: object) -> str:
    return name if isinstance(name, str) and _NAME.fullmatch(name) else f"<key of {len(str(name))}>"
