"""What the Python opponents have in common: the work they are given, random policies and token ids
of its shape, and the conversation with the bench. Not a measurement itself.

The work is one JSON argument. A script tells `ready` when it is warm; then it does its work once
for every line that it reads and answers with one line, until there are no more.
"""
import json
import os
import re
import sys
import time

# Libraries print what they like to stdout; answers go out by a descriptor that they do not know.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

WORK = json.loads(sys.argv[1])
DEVICE = WORK.get("device", "cpu")


def tell(**facts):
    print(json.dumps(facts), file=_answers, flush=True)


def answer(seconds, **facts):
    tell(seconds=seconds, peak_bytes=peak_bytes(), **facts)


def peak_bytes():
    """Of tensors on a GPU; else resident, not from getrusage: its maximum begins with the parent's."""
    if DEVICE != "cpu":
        import torch

        return torch.cuda.max_memory_allocated()
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) * 1024


def wait_for_turn():
    """Returns at the next line of stdin; ends the process where there is none."""
    if not sys.stdin.readline():
        os._exit(0)


def converse(work, **facts):
    """Warms up once, then does `work` whenever it is asked to. `work` may return further facts."""
    work()
    tell(ready=True, **facts)
    while True:
        wait_for_turn()
        start = time.perf_counter()
        more = work() or {}
        wait_for_device()
        answer(time.perf_counter() - start, **more)


def wait_for_device():
    if DEVICE != "cpu":
        import torch

        torch.cuda.synchronize()


def open_policy(attention="sdpa"):
    """A random policy of the work's shape, in bf16 on a GPU. qk_norm tells Qwen3 from Qwen2."""
    import torch
    import transformers as hf

    torch.set_num_threads(WORK["threads"])
    torch.manual_seed(0)
    sizes = WORK["policy"]
    settings = dict(
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        num_key_value_heads=sizes["kvHeads"],
        intermediate_size=sizes["ffn"],
        vocab_size=sizes["vocab"],
        tie_word_embeddings=sizes["tied"],
        rms_norm_eps=sizes["rmsEps"],
        max_position_embeddings=32768,
        attn_implementation=attention,
    )
    if DEVICE != "cpu":
        torch.set_default_dtype(torch.bfloat16)
    with torch.device(DEVICE):
        if sizes["qkNorm"]:
            return hf.Qwen3ForCausalLM(hf.Qwen3Config(head_dim=sizes["headDim"], **settings))
        return hf.Qwen2ForCausalLM(hf.Qwen2Config(**settings))


def prompt_rows(shape, generator):
    """[prompts, shared + own]: the first `shared` ids are the same in every row."""
    import torch

    def draw(*size):
        return torch.randint(3, WORK["policy"]["vocab"], size, generator=generator)

    common = draw(1, shape["shared"]).expand(shape["prompts"], -1)
    return torch.cat([common, draw(shape["prompts"], shape["own"])], dim=1)


def rollout_rows(shape):
    """[prompts * samples, prompt tokens]: the prompt of each rollout."""
    import torch

    rows = prompt_rows(shape, torch.Generator().manual_seed(1))
    return rows.repeat_interleave(shape["samples"], dim=0)
