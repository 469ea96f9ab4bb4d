"""HTTP clients for the internet, with their proxies, certificates, timeouts and errors."""
