"""A small corpus as pyarrow writes it, in two row groups, with integer ids.

Run: python -P test/golden/corpus.py (pyarrow 26.0.1). It writes test/golden/corpus.parquet.
"""
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = [
    {"id": 7, "title": "Orn", "text": "Orn is a town on the Sil."},
    {"id": 2**53 + 1, "title": "Måløy", "text": "Måløy lies in the north.\nIt has a harbour."},
    {"id": 9, "title": None, "text": "A passage without a title."},
]


def main() -> None:
    schema = pa.schema([("id", pa.int64()), ("title", pa.string()), ("text", pa.string())])
    table = pa.Table.from_pylist(ROWS, schema=schema)
    pq.write_table(table, Path(__file__).parent / "corpus.parquet", compression="zstd", row_group_size=2)


if __name__ == "__main__":
    main()
