"""Programs that can use the server, as data: one definition for each, used by the commands.

Pure: no module here looks at the machine. `registry` lists the clients, `client` describes what a
definition consists of, and each of the other modules defines one client, or clients that are
configured alike.
"""
