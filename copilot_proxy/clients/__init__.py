"""The definitions of the programs that can use the server. No module here does any I/O itself.

`registry` lists the clients, and `client` declares the fields of a definition. Most other modules
define one client, or several that are configured alike.
"""
