"""Short programs that send one thing from within a network namespace; their words are address, port and mark."""

KNOCK = """
import socket, sys
address, port, _, mark = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM) as knock:
    knock.settimeout(0.5)
    knock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(mark))
    knock.connect((address, int(port)))
"""
"""A TCP connection; it ends with 0 where it is made."""

SAY = """
import socket, sys
address, port, mark, *source = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, int(mark))
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if source:
        sender.bind(("", int(source[0])))
    sender.sendto(b"said", (address, int(port)))
"""
"""One datagram, from a port of its own or the one that is told last."""
