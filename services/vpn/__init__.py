"""The VPN: a server that lets session peers out to its uplink, and a client that sends its packets there."""
