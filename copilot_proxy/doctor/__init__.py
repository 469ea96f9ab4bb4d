"""Finds out what keeps the program from working on this machine, and what to do about it.

Each check is a function that looks at one subject and returns `Result`s. `checks` lists
them all, `runner` runs them, and `check_context` holds what several of them need. Nothing here
prints.
"""
