"""The ``copilot-proxy`` command from its first moment, also as ``python -m copilot_proxy``."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Loads the command and runs it. Loading takes a while, in which Ctrl+C may come as well."""
    try:
        from copilot_proxy.cli.startup import hasten

        hasten()
        from copilot_proxy.cli.main import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
