"""Files read with errors that name file and line, and written whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NoReturn

from mdplab.models import MDP


def fail(path: Path | str, line: int | None, message: str) -> NoReturn:
    """Raise ValueError "path:line: message", or "path: message" where lines mean nothing."""
    raise ValueError(f"{path}: {message}" if line is None else f"{path}:{line}: {message}")


def read_text(path: Path) -> str:
    """The text of a file; ValueError if it is missing, unreadable, empty or no text."""
    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        fail(path, raw.count(b"\n", 0, error.start) + 1, f"byte {error.start} is not UTF-8 text")
    if "\0" in text:
        fail(path, text.count("\n", 0, text.index("\0")) + 1, "a NUL byte: binary data, expected text")
    return text


def read_bytes(path: Path) -> bytes:
    """The bytes of a file; ValueError if it is missing, unreadable or empty."""
    raw = read_start(path, -1)
    if not raw.strip():
        fail(path, 1, "the file is empty")
    return raw


def read_start(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file (all of them for -1); ValueError if it is missing, unreadable or empty."""
    try:
        with open(path, "rb") as file:
            raw = file.read(size)
    except FileNotFoundError:
        fail(path, None, "no such file")
    except OSError as error:
        fail(path, None, error.strerror or str(error))
    if not raw:
        fail(path, 1, "the file is empty")
    return raw


def write_whole(writers: dict[Path, Callable[[BinaryIO], None]]) -> None:
    """Write all of the files or none: each to a temporary name beside its target, then all are renamed.

    Raises
    ------
    OSError
        With the target's name, for example if the disk is full; nothing is left behind.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in writers}
    try:
        for path, write in writers.items():
            try:
                with open(temporary[path], "wb") as file:
                    write(file)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise OSError(error.errno, f"not written: {error.strerror or error}", str(path)) from None
        for path in writers:
            os.replace(temporary[path], path)
    finally:
        for leftover in temporary.values():
            leftover.unlink(missing_ok=True)


def build(path: Path | str, locate: Callable[[str], int | None], model: type = MDP, **arguments: object) -> MDP:
    """The model of a file's contents; what its own checks find is reported with the file and, if known, line."""
    try:
        return model(**arguments)
    except (ValueError, TypeError) as error:
        fail(path, locate(str(error)), str(error))
