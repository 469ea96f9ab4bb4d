"""Finds out what prevents the program from working on this machine, and what to do about it.

Each check is a function that examines one subject and yields `Result`s. `checks` lists all checks,
`runner` runs them, and `check_context` holds the data that they share. Nothing here prints.
"""
