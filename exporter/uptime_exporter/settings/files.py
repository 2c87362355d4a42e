"""Files that settings are read from, or that they name."""

import os
import ssl
import stat
from pathlib import Path

MAX_SETTINGS_BYTES = 4 << 20
MAX_SECRET_BYTES = 64 << 10

_PEM_CERTIFICATE = "-----BEGIN CERTIFICATE-----"


class FileUnusableError(Exception):
    """The file cannot be used; the message says why, without its name and without what is in it.

    Attributes:
        missing: Whether that is because there is none.

    """

    def __init__(self, why: str, *, missing: bool = False) -> None:
        super().__init__(why)
        self.missing = missing


def text_of(path: Path, most: int) -> str:
    """Return what *path* holds, at most *most* bytes of UTF-8.

    Raises:
        FileUnusableError: It is missing, no file, too large, not UTF-8 or may not be read.

    """
    try:
        return _bytes_of(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnusableError(f"not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise FileUnusableError(_in_words(error), missing=isinstance(error, FileNotFoundError)) from None
    except ValueError:
        raise FileUnusableError("no file can have this name") from None


def _bytes_of(path: Path, most: int) -> bytes:
    # Without O_NONBLOCK, a pipe that nobody writes to would hold the exporter for ever.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise FileUnusableError("a directory, not a file")
        if not stat.S_ISREG(mode):
            raise FileUnusableError("not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise FileUnusableError(f"larger than {most >> 10} KiB")
    return content


def _in_words(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "no such file"
        case PermissionError():
            return f"may not be read by user {os.geteuid()}"
        case IsADirectoryError():
            return "a directory, not a file"
        case _:
            return f"cannot be read ({os.strerror(error.errno or 0)})"


def secret_in(path: Path) -> str:
    """Return what *path* holds, without one line break at its end.

    Raises:
        FileUnusableError: As `text_of`, or it is empty.

    """
    text = text_of(path, MAX_SECRET_BYTES)
    secret = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not secret:
        raise FileUnusableError("empty")
    return secret


def authorities_in(path: Path) -> None:
    """Try to load the certificates in *path*.

    Raises:
        FileUnusableError: There are none, or they cannot be read.

    """
    text_of(path, MAX_SETTINGS_BYTES)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except (ssl.SSLError, OSError):
        raise FileUnusableError("holds no certificate in PEM format") from None


def client_certificate(path: Path) -> None:
    """Try to load the first certificate in *path*.

    Raises:
        FileUnusableError: There is none, or it cannot be read.

    """
    if _PEM_CERTIFICATE not in text_of(path, MAX_SETTINGS_BYTES):
        raise FileUnusableError("holds no certificate in PEM format")


def client_key(certificate: Path, key: Path) -> None:
    """Try to load the private key of a certificate.

    Raises:
        FileUnusableError: It cannot be read, is no PEM, not of the certificate, or has a passphrase.

    """
    text_of(key, MAX_SETTINGS_BYTES)
    try:
        # Without a password of its own, OpenSSL would ask on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError):
        raise FileUnusableError(
            "must hold the private key of the certificate in cert_file, as PEM without a passphrase"
        ) from None


def writable(ledger: Path) -> None:
    """Check that *ledger* can be written, without creating it.

    Raises:
        FileUnusableError: Its directory is missing or not writable, or it is no file.

    """
    folder = ledger.parent
    if not folder.is_dir():
        raise FileUnusableError(f"there is no directory {folder.absolute()}; create it, or name another file")
    if ledger.is_dir():
        raise FileUnusableError("is a directory; name a file in it")
    # SQLite writes its journal beside the file.
    if not os.access(folder, os.W_OK | os.X_OK) or (ledger.exists() and not os.access(ledger, os.W_OK)):
        raise FileUnusableError(
            f"user {os.geteuid()} may not write to {folder.absolute()}; "
            "change its owner, or name another file"
        )
