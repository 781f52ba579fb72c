"""What a file holds, by its first bytes: packed files are unpacked, text is decoded, others are refused by name."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from clearprop.errors import TableError

PARQUET = b"PAR1"
TEXT_ENDINGS, PARQUET_ENDINGS = (".csv", ".tsv", ".txt", ".tab", ".psv", ".dat", ".data"), (".parquet", ".pq")
PACKED_ENDINGS = (".gz", ".bz2", ".xz", ".zip", ".zst")
ENDINGS = (*TEXT_ENDINGS, *PARQUET_ENDINGS, *PACKED_ENDINGS)
#: Kinds of files that are recognized and refused: their first bytes, what they are, and what to do instead.
_REFUSED: tuple[tuple[bytes, str, str], ...] = (
    (b"\x28\xb5\x2f\xfd", "a file packed with zstd", "Unpack it first: zstd -d FILE."),
    (b"ARROW1", "an Arrow (Feather) file", "Pass the data frame: polars.read_ipc(path)."),
    (b"ORC", "an ORC file", "Save it as CSV or Parquet."),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "Save the sheet as CSV, or pass pandas.read_excel(path)."),
    (b"SQLite format 3\0", "an SQLite database", "Pass the data frame of a query, such as pandas.read_sql(...)."),
    (b"\x89HDF", "an HDF5 file", "Pass the data frame, such as pandas.read_hdf(path)."),
    (b"\x93NUMPY", "a NumPy array", "Give it to MLPClassifier or MLPRegressor, or name its columns in a dict."),
    (b"%PDF", "a PDF document", "Save its table as CSV."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (b"Rar!", "a RAR archive", "Unpack it first."),
    (b"\x80\x04\x95", "a Python pickle", "Load it yourself if you trust it, and pass the data frame."),
    (b"\x80\x05\x95", "a Python pickle", "Load it yourself if you trust it, and pass the data frame."),
    (b"\x89PNG", "a picture (PNG)", "A table has rows and named columns."),
    (b"\xff\xd8\xff", "a picture (JPEG)", "A table has rows and named columns."),
)
_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
)  # fmt: skip
_HTML = re.compile(rb"\s*<(!doctype html|html|head|\?xml)", re.IGNORECASE)
_JSON = re.compile(rb'\s*(\{\s*("[^"]*"\s*:|\})|\[\s*[\[{])')
#: Hardly Western European text: rare signs, or several characters beyond ASCII in a row.
_NOT_WESTERN = re.compile(rb"[\x83\x86-\x88\x8b\x98\x9b]|[\x80-\x9f]{2}|[\x80-\xff]{3}")

_UTF8 = re.compile(rb"[\xc2-\xdf][\x80-\xbf]")


def most_unpacked(size: int) -> int:
    """The most bytes that a compressed file of this size may unpack to: 100 times as many, plus 32 MiB."""
    return 100 * size + 2**25


def _open_zip(packed: IO[bytes]) -> IO[bytes]:
    archive = zipfile.ZipFile(packed)
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if "[Content_Types].xml" in names or "mimetype" in names:
        kind = "an Excel workbook" if any(name.startswith("xl/") for name in names) else "an office document"
        raise TableError(f"{kind} (a zip file of XML). Save the sheet as CSV, or pass pandas.read_excel(path).")
    if len(names) != 1:
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        raise TableError(f"a zip file of {len(names)} files ({shown}). Unpack it, and name one table.")
    return archive.open(names[0])


_UNPACKERS: tuple[tuple[bytes, str, str, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", "gzip", ".gz", lambda packed: gzip.GzipFile(fileobj=packed)),
    (b"BZh", "bz2", ".bz2", bz2.BZ2File),
    (b"\xfd7zXZ\0", "xz", ".xz", lzma.LZMAFile),
    (b"PK\x03\x04", "zip", ".zip", _open_zip),
    (b"PK\x05\x06", "zip", ".zip", _open_zip),
)


def unpack(content: bytes, file: Path) -> bytes:
    """The content of a gzip, bz2, xz or zip file with one table in it; any other content as it is.

    Raises TableError if the name of the file claims that it is not packed, if it is damaged, and if it unpacks to far
    more than a table would.
    """
    for magic, name, ending, unpacker in _UNPACKERS:
        if content.startswith(magic):
            unpacked = _unpack(content, name, unpacker, file)
            refuse_other_name(file, f"packed with {name}", (ending,), file.name + ending)
            return unpacked
    return content


def refuse_other_name(file: Path, what: str, right: tuple[str, ...], rename: str) -> None:
    """Raise TableError if the name of a file has one of `ENDINGS`, but not the right one for its content."""
    name = file.name.lower()
    if not name.endswith(right) and name.endswith(ENDINGS):
        raise TableError(f'{file}: is {what}, which its name "{file.name}" does not tell. Rename it to "{rename}".')


def _unpack(content: bytes, name: str, unpacker: Callable[[IO[bytes]], Any], file: Path) -> bytes:
    most = most_unpacked(len(content))
    try:
        with unpacker(io.BytesIO(content)) as packed:
            unpacked = packed.read(most + 1)
    except TableError as reason:
        raise TableError(f"{file}: is {reason}") from None
    except RuntimeError as reason:  # zipfile refuses passwords and unknown methods with these
        raise TableError(f"{file}: is a {name} file that cannot be unpacked here: {reason}. Unpack it first.") from None
    except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError) as reason:
        raise TableError(f"{file}: expected a {name} file, but it is damaged or not one: {reason}.") from None
    if len(unpacked) > most:
        raise TableError(
            f"{file}: {len(content):,} bytes unpack to more than {most:,}, which is not plausible for a table. "
            "If it is one, unpack the file first."
        )
    return unpacked


def refuse_other_kinds(content: bytes, file: Path) -> None:
    """Raise TableError for content that is recognized as something else than text or Parquet."""
    for magic, what, instead in _REFUSED:
        if content.startswith(magic):
            raise TableError(f"{file}: is {what}, not a table in CSV or Parquet. {instead}")
    if _HTML.match(content[:200]):
        raise TableError(
            f"{file}: is a web page or XML, not a table in CSV or Parquet. Was the page saved instead of the file?"
        )
    if _JSON.match(content[:200]):
        raise TableError(
            f"{file}: is JSON, not a table in CSV or Parquet. Pass the data frame, such as pandas.read_json(path)."
        )


def decode_text(content: bytes, file: Path, encoding: str | None = None) -> tuple[bytes, str]:
    """Text as UTF-8 bytes without a byte order mark, with lines that end in a line feed; and a note for the user.

    UTF-8, UTF-16 and UTF-32 are recognized. Other bytes are read as Windows-1252 if they look like Western European
    text. Raises TableError that names the line for any other.
    """
    mark, found = next(((m, e) for m, e in _BYTE_ORDER_MARKS if content.startswith(m)), (b"", None))
    content, name = content[len(mark) :], encoding or found or _utf16(content) or "utf-8"
    note = ""
    try:
        characters = content.decode(name)
    except LookupError:
        raise TableError(
            f'encoding: unknown encoding "{encoding}"; expected one such as "utf-8" or "cp1252".'
        ) from None
    except UnicodeDecodeError as reason:
        characters = None if name != "utf-8" or encoding else _western(content)
        if characters is None:
            line = content[: reason.start].count(b"\n") + 1
            raise TableError(
                f"{file}: line {line} is not {name.upper()} text (byte 0x{content[reason.start]:02x}). If this is a "
                'CSV file, save it again with the encoding UTF-8, or name its own: read_table(path, encoding="...").'
            ) from None
        note, name = "read as Windows-1252, because it is not UTF-8", "cp1252"
    if "\0" in characters:
        line = characters[: characters.index("\0")].count("\n") + 1
        raise TableError(f"{file}: expected text, got binary data (a zero byte in line {line}). Is this a CSV file?")
    text = content if name == "utf-8" else characters.encode()
    if b"\r" in text and b"\n" not in text:
        text = text.replace(b"\r", b"\n")
    return text, note


def _utf16(content: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other byte of its text is mostly zero."""
    start = content[:4096]
    half = len(start) // 2
    if half < 2 or len(content) % 2:
        return None
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd > 0.6 * half and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 * half and odd == 0 else None


def _western(content: bytes) -> str | None:
    """The text in Windows-1252, if it looks like Western European text, and not like UTF-8 with a damaged byte."""
    if _NOT_WESTERN.search(content) or _UTF8.search(content):
        return None
    try:
        characters = content.decode("cp1252")
    except UnicodeDecodeError:
        return None
    controls = any(ord(c) < 32 and c not in "\t\n\r" for c in characters[:4096])
    return None if controls else characters
