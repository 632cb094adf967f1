"""What a compressed image says of itself, read from its markers before anything is decoded."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TypeAlias

from mammoshift.errors import UnreadableImageError

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_MOST_TILES = 65_535
_JPEG2000_START = b"\xff\x4f\xff\x51"
_JP2_START = b"\0\0\0\x0cjP  \r\n\x87\n"
_JP2_CODESTREAM = b"jp2c"

Bytes: TypeAlias = bytes | mmap.mmap


@dataclass(frozen=True)
class CodestreamHeader:
    """Size of a codestream: rows, columns, number of components, bits and sign of each."""

    rows: int
    columns: int
    components: int
    bits: int
    signed: bool = False


def read_header(data: Bytes) -> CodestreamHeader:
    """Return the header of a JPEG, JPEG-LS or JPEG 2000 codestream, which must be complete.

    JPEG and JPEG-LS: ISO/IEC 10918-1 annex B and 14495-1 annex C; JPEG 2000: 15444-1 annex A.

    Raises
    ------
    UnreadableImageError
        If the markers make no sense, or the end marker is missing: decoders fill what a
        truncated codestream lacks with grey and do not complain.
    """
    if data[:2] == b"\xff\xd8":
        return _jpeg_header(data)
    return _jpeg2000_header(data)


def _jpeg_header(data: Bytes) -> CodestreamHeader:
    header: CodestreamHeader | None = None
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            raise UnreadableImageError("the JPEG codestream has a damaged header")
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _STANDALONE:
            position += 2
            continue
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        if marker == _SOS:
            break
        if length < 2 or marker in {_SOI, _EOI}:
            raise UnreadableImageError("the JPEG codestream has a damaged header")
        if marker in _FRAME_HEADERS and len(body) >= 6:
            header = CodestreamHeader(
                rows=int.from_bytes(body[1:3], "big"),
                columns=int.from_bytes(body[3:5], "big"),
                components=body[5],
                bits=body[0],
            )
        position += 2 + length
    if header is None:
        raise UnreadableImageError("the JPEG codestream has no frame header")
    if data.rfind(b"\xff\xd9", position) < 0:
        raise UnreadableImageError("the JPEG codestream is truncated: it has no end marker")
    return header


def _jpeg2000_header(data: Bytes) -> CodestreamHeader:
    start = _jpeg2000_start(data)
    if data[start : start + 4] != _JPEG2000_START or len(data) < start + 45:
        raise UnreadableImageError("the codestream is neither JPEG, JPEG-LS nor JPEG 2000")
    right, bottom, left, top = (
        int.from_bytes(data[at : at + 4], "big") for at in range(start + 8, start + 24, 4)
    )
    tile_columns, tile_rows = (
        int.from_bytes(data[at : at + 4], "big") for at in (start + 24, start + 28)
    )
    if not tile_columns or not tile_rows or right <= left or bottom <= top:
        raise UnreadableImageError("the JPEG 2000 codestream has a damaged header")
    if -(-right // tile_columns) * -(-bottom // tile_rows) > _MOST_TILES:
        raise UnreadableImageError("the JPEG 2000 codestream has more tiles than the format allows")
    if data.rfind(b"\xff\xd9", start) < 0:
        raise UnreadableImageError("the JPEG 2000 codestream is truncated: it has no end marker")
    return CodestreamHeader(
        rows=bottom - top,
        columns=right - left,
        components=int.from_bytes(data[start + 40 : start + 42], "big"),
        bits=(data[start + 42] & 0x7F) + 1,
        signed=bool(data[start + 42] & 0x80),
    )


def _jpeg2000_start(data: Bytes) -> int:
    """Return where the codestream begins: at once, or in the first such box of a JP2 file."""
    position = 0
    if data[: len(_JP2_START)] != _JP2_START:
        return position
    while position + 16 <= len(data):
        length, kind = (
            int.from_bytes(data[position : position + 4], "big"),
            data[position + 4 : position + 8],
        )
        header = 8
        if length == 1:
            length, header = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        if kind == _JP2_CODESTREAM:
            return position + header
        if length < header:
            break
        position += length
    raise UnreadableImageError("the JP2 file holds no codestream")
