"""Texts that the settings of several services hold, checked as `settings_file` reads them."""

from __future__ import annotations

from ipaddress import ip_network


class Network(str):
    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> Network:
        try:
            return cls(str(ip_network(text)))
        except ValueError:
            raise ValueError("expected a network such as 192.168.1.0/24") from None


class ProtocolPort(str):
    """`tcp/22`, `udp/53`."""

    __slots__ = ()

    @classmethod
    def read_setting(cls, text: str) -> ProtocolPort:
        protocol, _, port = text.partition("/")
        if protocol not in {"tcp", "udp"} or not is_port(port):
            raise ValueError("expected tcp/PORT or udp/PORT")
        return cls(text)

    def split_port(self) -> tuple[str, int]:
        protocol, _, port = self.partition("/")
        return protocol, int(port)


def is_port(text: str) -> bool:
    return text.isdecimal() and 1 <= int(text) <= 65535
