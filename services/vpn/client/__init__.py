"""The VPN's client: sends this machine's packets, and its neighbours', out by a server of the mesh."""
