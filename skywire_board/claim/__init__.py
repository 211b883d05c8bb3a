"""How a board without a key becomes somebody's: the first key that logs in as admin while its window is open is pinned.

sshd asks `offer` about a key that it does not know, and gets a forced command for it; that command (`visit`) runs only
when the signature was verified, and asks the window's service (`window`, root) to pin the key. `merge` makes the files
that sshd reads, of all keys that the board was given.
"""
