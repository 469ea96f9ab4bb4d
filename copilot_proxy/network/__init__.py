"""HTTP clients for the internet: proxies, certificates, timeouts, and what httpx's errors mean."""
