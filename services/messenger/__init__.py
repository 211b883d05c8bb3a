"""Messages and files between nodes: kept where they are written until they are where they shall be, read by nobody
between, and shown once.
"""
