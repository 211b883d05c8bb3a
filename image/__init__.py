"""The card image: built, described and booted in an emulator on a workstation. Never installed on a board.

`recipe` and `boards` are what is wanted; `steps` each make one thing; `conductor` is their order; `emulator` runs the
result. Programs of the system are started through `run` alone.
"""
