"""The exit: leases, policy and NAT for session peers. `brain` decides, the doors do."""
