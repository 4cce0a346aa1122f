"""Decoding with transformers' continuous batching: a paged cache, all prompts in flight, sdpa
attention. Where this version can't (`name` says so), generate() with one static batch. What
decoding alone takes is the difference of two runs: all tokens, and one."""
import functools
import time
import traceback

import torch
import transformers

from common import DEVICE, WORK, converse, open_policy, rollout_rows, wait_for_device

shape = WORK["shape"]
rows = rollout_rows(shape)
NO_TOKEN = WORK["policy"]["vocab"]  # no id: nothing ends a row early


def settings(count):
    return transformers.GenerationConfig(
        max_new_tokens=count,
        min_new_tokens=count,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=1,
        eos_token_id=2,
    )


@torch.no_grad()
def continuous(ids, count, **options):
    config = settings(count)
    config.eos_token_id = NO_TOKEN
    found = model.generate_batch(inputs=ids.tolist(), generation_config=config, **options)
    made = [len(each.generated_tokens) for each in found.values()]
    if len(made) != len(ids) or min(made) < count:
        raise RuntimeError(f"{len(made)} of {len(ids)} rows came back, of {sorted(set(made))} tokens")


def ways():
    """Of continuous batching, the best first; not every version knows the first two."""
    tokens = len(rows[0]) + shape["sampled"]
    blocks = len(rows) * (tokens // 256 + 2)
    for more in ({}, {"auto_switch_to_flash": False}):
        if hasattr(transformers, "ContinuousBatchingConfig"):
            config = transformers.ContinuousBatchingConfig(num_blocks=blocks, **more)
            yield dict(continuous_batching_config=config)
    yield {}


@torch.no_grad()
def static(ids, count):
    out = model.generate(ids.to(DEVICE), attention_mask=torch.ones_like(ids).to(DEVICE), generation_config=settings(count))
    assert out.shape[1] == ids.shape[1] + count


def choose():
    """Opens the policy; how it decodes, tried on two rows."""
    global model
    model = open_policy("sdpa").eval()
    for options in ways():
        try:
            continuous(rows[:2], 2, **options)
            return "transformers, continuous batching", functools.partial(continuous, **options)
        except Exception:
            traceback.print_exc()
    static(rows[:2], 2)
    return "transformers, generate()", static


def timed(count):
    start = time.perf_counter()
    decode(rows, count)
    wait_for_device()
    return time.perf_counter() - start


name, decode = choose()
warm = False


def work():
    """The first call only says that it is warm."""
    global warm
    if not warm:
        warm = True
        return {}
    first = timed(1)
    whole = timed(shape["sampled"])
    return dict(name=name, decode_seconds=whole - first, prefill_seconds=first, generate_seconds=whole)


converse(work, version=transformers.__version__)
