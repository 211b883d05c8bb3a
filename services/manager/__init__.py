"""The node manager: it admits nodes, keeps what they report, and computes routes between them."""
