"""What keeps packets in when the tunnel is not there: rules of the kernel that no process owns."""
