"""Where bytes move: sockets that the kernel wakes us for, pipes between them, and nothing that knows a protocol."""
