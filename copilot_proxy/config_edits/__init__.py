"""Edits to other programs' configuration files: planned, shown as a diff, applied, and undone.

`changes` describes a change to a file, and computes its new content with `json_text` and
`toml_text`; these modules, and `diff`, are pure. `files` reads and replaces files safely. `journal`
keeps what is needed to restore a file.
"""
