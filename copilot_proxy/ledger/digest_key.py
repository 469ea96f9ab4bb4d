"""The secret key for this installation's digests. Without it, digests reveal nothing about a
prompt."""

import os
import secrets
from pathlib import Path
from typing import Final

from copilot_proxy.private_files import NEW, READ, make_folder, open_private

NAME: Final = "digests.key"
"""The name of the key's file, which is next to the ledger."""
_BYTES: Final = 32


def read_key(folder: Path) -> bytes:
    """Return the key in `folder`, creating it if necessary. Raises `OSError`."""
    path = folder / NAME
    make_folder(folder)
    # Written under a different name first, so that other processes never read an incomplete file.
    draft = path.with_name(f"{NAME}.{secrets.token_hex(4)}")
    if not path.exists():
        with os.fdopen(open_private(draft, NEW), "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was faster
        except OSError:
            os.replace(draft, path)  # the file system has no hard links
        draft.unlink(missing_ok=True)
    with os.fdopen(open_private(path, READ), "rb") as file:
        key = file.read(_BYTES)
    if len(key) < _BYTES:
        raise OSError(f"{path} is damaged; remove it")
    return key
