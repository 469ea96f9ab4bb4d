"""Finds out what keeps the program from working on this machine, and what to do about it.

Each check is a function that looks at one subject and returns `Result`s. `examination` holds what
several checks need, `checks` lists them all, and `running` runs them. Nothing here prints.
"""
