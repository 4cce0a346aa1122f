"""What math-verify (pip install math-verify) says of the pairs in math-pairs.json: it writes those that it judges
otherwise to math-verify.json, for a person to look at. Used once, by hand: python3 test/golden/math_verify_pairs.py"""

import json
import logging
import pathlib

from math_verify import parse, verify

HERE = pathlib.Path(__file__).parent
logging.disable(logging.CRITICAL)


def same(gold: str, answer: str) -> bool:
    """Judged as it would be in use: as it is, or else as mathematics between dollars."""
    sides = [[parse(text), parse(f"${text}$")] for text in (gold, answer)]
    return any(verify(a, b) for a in sides[0] for b in sides[1])


pairs = json.loads((HERE / "math-pairs.json").read_text())
others = [pair for pair in pairs if same(pair["a"], pair["b"]) != pair["equal"]]
lines = ",\n".join("  " + json.dumps(pair, ensure_ascii=False) for pair in others)
(HERE / "math-verify.json").write_text(f"[\n{lines}\n]\n")
print(f"{len(pairs) - len(others)} of {len(pairs)} judged the same")
