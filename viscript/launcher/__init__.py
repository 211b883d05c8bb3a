"""The launcher: which applications there are (`config`), which run (`lifecycle`), and how they run
(`process`).
"""
