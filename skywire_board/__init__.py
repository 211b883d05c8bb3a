"""The supervisor of a board: lights, button, health, and the unit that runs viscript.

Shape: `model` holds frozen words; `boards`, `config` and `bootstate` parse; `brain` decides, pure; `inputs`,
`checks`, `outputs` and `pins` are the doors; `loop` joins them; only `__main__` prints and exits.
"""
