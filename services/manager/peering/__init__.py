"""Clusters that peer by public key: two managers agree, each gives what its operator named, routes cross the border."""
