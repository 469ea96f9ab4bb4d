"""The entry point of ``copilot-proxy`` and of ``python -m copilot_proxy``."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Import the command and run it. The import is slow, so Ctrl+C is handled during it as well."""
    try:
        from copilot_proxy.cli.startup import speed_up_startup

        speed_up_startup()
        from copilot_proxy.cli.main import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
