"""How applications run: one door (`door`), two thin backends (`group`, `unit`), and what the kernel says of
them.
"""
