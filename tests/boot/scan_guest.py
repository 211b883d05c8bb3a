"""A port scanner: `scan_guest.py 1-999,8080 tcp/10.0.1.2 udp/fd00::1` prints as JSON, for each place, the ports that
answer in any way: that they are open, or that they refuse. A port behind a default drop is silent. No library but
Python's own: it also runs on the board, from a namespace beside it.
"""

import errno
import json
import resource
import select
import socket
import sys
import time

SPARE_FILES = 64
WAIT_S = 0.15
PROBE = b"scan"


def scan(place: str, ports: list[int]) -> list[int]:
    """Ports that answered, ascending: as many asked at once as files may be open."""
    protocol, _, address = place.partition("/")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    at_once = min(most, 20_000) - SPARE_FILES
    batches = (ports[first : first + at_once] for first in range(0, len(ports), at_once))
    return sorted(port for batch in batches for port in _batch(address, protocol, batch))


def _batch(address: str, protocol: str, ports: list[int]) -> list[int]:
    poll, links, found = select.poll(), {}, []
    try:
        for port in ports:
            link = _knock(address, protocol, port)
            if link is None:
                found.append(port)
                continue
            links[link.fileno()] = (port, link)
            poll.register(link, select.POLLIN if protocol == "udp" else select.POLLOUT)
        until = time.monotonic() + WAIT_S
        while (left := until - time.monotonic()) > 0:
            for number, _ in poll.poll(left * 1000):
                poll.unregister(number)
                port, link = links[number]
                if _answered(link, protocol):
                    found.append(port)
    finally:
        for _, link in links.values():
            link.close()
    return found


def _knock(address: str, protocol: str, port: int) -> socket.socket | None:
    """None: it answered at once."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    link = socket.socket(family, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
    link.setblocking(False)
    code = link.connect_ex((address, port))
    if protocol == "udp":
        link.send(PROBE)
    elif code != errno.EINPROGRESS:
        link.close()
        return None
    return link


def _answered(link: socket.socket, protocol: str) -> bool:
    """What came is an answer unless the network, and not the board, made it up."""
    if protocol == "tcp":
        return link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in {0, errno.ECONNREFUSED}
    try:
        return bool(link.recv(64))
    except OSError as error:
        return error.errno == errno.ECONNREFUSED


def read_ports(text: str) -> list[int]:
    """`1-999,8080` as a list."""
    pairs = [part.partition("-") for part in text.split(",")]
    return [port for first, _, last in pairs for port in range(int(first), int(last or first) + 1)]


if __name__ == "__main__":
    print(json.dumps({place: scan(place, read_ports(sys.argv[1])) for place in sys.argv[2:]}))
