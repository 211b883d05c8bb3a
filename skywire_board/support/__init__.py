"""The archive for support: logs and state without any secret.

Two walls: `sources` names what is collected (nothing else is), and everything passes `redact`, and settings
`outline`, before it is packed. `collect` runs the programs and reads the files.
"""
