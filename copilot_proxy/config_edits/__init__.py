"""Plans, shows, applies and undoes edits to other programs' configuration files.

`changes` describes a change to a file, and computes its new content with `json_text` and
`toml_text`. These modules and `diff` do no I/O. `files` reads and replaces files safely. `journal`
keeps what is needed to restore a file.
"""
