"""The running server: uvicorn, the listening socket, worker processes and signals."""
