"""The entry point of ``copilot-proxy`` and of ``python -m copilot_proxy``."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Import and run the command. Ctrl+C is also handled during the import, which is slow."""
    try:
        from copilot_proxy.cli.startup import speed_up_startup

        speed_up_startup()
        from copilot_proxy.cli.main import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
