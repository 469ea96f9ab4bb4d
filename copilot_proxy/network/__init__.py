"""HTTP clients for the internet: proxies, certificates, timeouts, and mapping httpx's errors."""
