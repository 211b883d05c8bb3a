"""Viscript: an application launcher, its shell, and the signal server every program of the board reports
to.
"""

__version__ = "0.1.0"
