"""Pairing two boards by their buttons: they find one another on the local network, show one short code, and join when a
person has seen it on both.
"""
