"""SOCKS5 over the mesh: `server` leads to the Internet from where it stands, `client` is the proxy on one's
own machine.

Both stand on `wire` (what is said, without I/O) and `room` (one thread, which moves bytes by splice).
"""
