"""Small Parquet files as pyarrow writes them, one for each codec and encoding, and their rows as JSON.

Run: python test/golden/parquet.py (pyarrow 26.0.1). It writes test/golden/parquet/. The rows are verl's, made from a
seed: text beyond ASCII, 64-bit integers, lists, structs, nulls, and three row groups.
"""
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

OUT = Path(__file__).parent / "parquet"
NAMES = ["Orn", "Tel", "Pell Harbour", "Måløy", "Ōsaka", "Ζάκυνθος"]

SCHEMA = pa.schema([
    ("id", pa.string()),
    ("question", pa.string()),
    ("golden_answers", pa.list_(pa.string())),
    ("data_source", pa.string()),
    ("prompt", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ("ability", pa.string()),
    ("reward_model", pa.struct([
        ("style", pa.string()),
        ("ground_truth", pa.struct([("target", pa.list_(pa.string()))])),
    ])),
    ("extra_info", pa.struct([("index", pa.int64()), ("split", pa.string())])),
])


def rows(count: int) -> list[dict]:
    rng = random.Random(7)
    made = []
    for i in range(count):
        place, gold = rng.choice(NAMES), [rng.choice(NAMES) for _ in range(rng.randint(1, 3))]
        question = f"Which town lies nearest to {place}, number {i}?"
        made.append({
            "id": f"train_{i}",
            "question": question,
            "golden_answers": gold,
            "data_source": None if i % 10 == 9 else "made-up",
            "prompt": [{"role": "user", "content": f"Think first. {question}"}],
            "ability": "fact-reasoning",
            "reward_model": {"style": "rule", "ground_truth": {"target": gold}},
            "extra_info": {"index": 2**53 + i if i == 0 else i, "split": "train"},
        })
    return made


def main() -> None:
    OUT.mkdir(exist_ok=True)
    made = rows(25)
    table = pa.Table.from_pylist(made, schema=SCHEMA)
    for codec in ["none", "snappy", "gzip", "brotli", "zstd", "lz4"]:
        pq.write_table(table, OUT / f"{codec}.parquet", compression=codec, row_group_size=10)
    pq.write_table(table, OUT / "plain-v2.parquet", use_dictionary=False, data_page_version="2.0", row_group_size=10)
    delta = {"id": "DELTA_BYTE_ARRAY", "question": "DELTA_LENGTH_BYTE_ARRAY"}
    pq.write_table(table, OUT / "delta.parquet", use_dictionary=False, column_encoding=delta, row_group_size=10)
    (OUT / "rows.json").write_text(json.dumps(made, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
