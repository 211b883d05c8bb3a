"""The kernel door of the mesh: what a node wants of interfaces, WireGuard, routes and nftables is put into effect."""
