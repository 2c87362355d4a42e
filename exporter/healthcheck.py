#!/usr/local/bin/python -IS
"""Says by its exit code whether a server of this container answers 200: healthcheck [PORT [PATH]]."""

import socket
import sys

SECONDS = 4.0


def main(port: str = "10999", path: str = "/health") -> int:
    """Return 0 if http://127.0.0.1:PORT/PATH answers 200, else 1; say why on standard output.

    By a socket, because importing an HTTP client would cost ten times as much as asking.
    """
    try:
        with socket.create_connection(("127.0.0.1", int(port)), timeout=SECONDS) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            status = connection.makefile("rb").readline().decode("latin-1").strip()
    except OSError as error:
        status = str(error)
    sys.stdout.write(f"{status}\n")
    version, _, rest = status.partition(" ")
    return 0 if version.startswith("HTTP/") and rest.split(" ")[0] == "200" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
