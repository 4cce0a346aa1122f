"""Sampling with transformers' generate(): one static batch of all rollouts, sdpa attention, a KV
cache. The prompts' prefill is part of it, and is timed apart as `prefill_seconds`."""
import time

import torch
import transformers

from common import WORK, converse, open_policy, rollout_rows

shape = WORK["shape"]
model = open_policy().eval()
ids = rollout_rows(shape)
mask = torch.ones_like(ids)


@torch.no_grad()
def sample(count):
    out = model.generate(
        ids,
        attention_mask=mask,
        min_new_tokens=count,
        max_new_tokens=count,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=1,
        eos_token_id=2,
    )
    assert out.shape[1] == ids.shape[1] + count


def work():
    start = time.perf_counter()
    sample(1)
    middle = time.perf_counter()
    sample(shape["sampled"])
    end = time.perf_counter()
    return dict(generate_seconds=end - middle, prefill_seconds=middle - start)


converse(work, version=transformers.__version__)
