"""The starter: the one small root service on a board. It starts configured programs in sandboxes and
nothing else.
"""
