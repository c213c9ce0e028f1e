"""Reads the batches of a ledger's file as docs/reference/ledger.md describes it, by other code than that of the package."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np


def read_ledger(path):
    """Yields rows, chunks, right and notes of the batches, in order; a torn last record is left out."""
    content = Path(path).read_bytes()
    assert content[:8] == b"SKIPBOOK"
    assert struct.unpack_from("<I", content, 8) == (1,)
    place = 16 + struct.unpack_from("<I", content, 12)[0] + 4
    while len(content) - place >= 8:
        (length,) = struct.unpack_from("<I", content, place)
        body = content[place + 8 : place + 8 + length]
        end = place + 8 + length + 4
        if end > len(content) or not any(content[place:end]):
            return
        assert struct.unpack_from("<I", content, end - 4)[0] == zlib.crc32(body)
        yield read_body(body)
        place = end


def read_body(body):
    n_answers, width, n_numbers, n_text = struct.unpack_from("<4I", body)
    rows = np.frombuffer(body, f"<u{width}", n_answers, 16).astype(int)
    place = 16 + width * n_answers
    chunks = np.frombuffer(body, "<u4", n_numbers, place).astype(int)
    place += 4 * n_numbers
    right = [bool(body[place + answer // 8] >> answer % 8 & 1) for answer in range(n_answers)]
    notes = json.loads(body[len(body) - n_text :]) if n_text else {}
    return rows, np.resize(chunks, n_answers), np.asarray(right, dtype=bool), notes
