"""What SOCKS and HTTP proxies say, without I/O: bytes in, messages out."""
