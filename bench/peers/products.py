"""The rate of large matrix products in Python's torch, to be compared with what the engine finds."""
import time

import torch

from common import WORK, converse

torch.set_num_threads(WORK["threads"])
side = WORK["side"]
a, b = torch.randn(side, side), torch.randn(side, side)


def work():
    best = float("inf")
    for _ in range(8):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return dict(flops=2 * side**3 / best)


converse(work, version=torch.__version__)
