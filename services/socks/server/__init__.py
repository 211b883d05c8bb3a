"""The SOCKS5 server: what mesh nodes connect to, and whence it goes on to the Internet."""
