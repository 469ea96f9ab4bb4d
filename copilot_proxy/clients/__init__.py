"""Programs that can use the server, as data: one record for each, which commands are made from.

Pure: no module here looks at the machine. `registry` lists the clients, `record` describes the
shape of a record, and each of the other modules holds the record of one client, or of clients that
are configured alike.
"""
