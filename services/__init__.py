"""The services of a board. Each is a program of its own and a signal client; none imports the supervisor."""

__version__ = "0.1.0"
