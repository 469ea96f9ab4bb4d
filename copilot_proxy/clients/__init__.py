"""The programs that can use the server: a definition of each, as data for the commands.

No module here accesses the machine. `registry` lists the clients, `client` declares the fields of a
definition, and each of the other modules defines one client, or several that are configured alike.
"""
