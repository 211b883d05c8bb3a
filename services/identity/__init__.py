"""The door to a board's identity, for its shell: the node id, its 24 words, and another identity in its place.

The seed's file belongs to the node's user alone. `door` runs as that user for one question on a socket, `settle` puts a
new seed in its place while nothing runs that uses it; `client` asks.
"""
