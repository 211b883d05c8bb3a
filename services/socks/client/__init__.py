"""The SOCKS5 and HTTP CONNECT proxy on one's own machine, which asks servers of the mesh."""
