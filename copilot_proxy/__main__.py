"""Makes ``python -m copilot_proxy`` the same as the ``copilot-proxy`` command."""

from copilot_proxy.cli.main import main

if __name__ == "__main__":
    main()
