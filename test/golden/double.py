"""transformers in double precision, for golden values. Not a model of our own: transformers' code runs as it is.

Its models fix parts of the arithmetic to float32 by naming torch.float or torch.float32 (RMSNorm, the rotary angles, the
softmax of eager attention). While `in_double` is active those names mean float64, so that the whole forward is double.
"""
import contextlib
import math

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM


@contextlib.contextmanager
def in_double():
    kept = torch.float, torch.float32
    torch.float = torch.float32 = torch.float64
    try:
        yield
    finally:
        torch.float, torch.float32 = kept


def load_double(folder):
    """The folder's weights, converted exactly; rotary frequencies computed in double."""
    single = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    single.config._attn_implementation = "eager"
    with in_double():
        model = type(single)(single.config).double().eval()
    model.load_state_dict({name: value.double() for name, value in single.state_dict().items()})
    return model


def token_logprobs(model, ids):
    """[len(ids) - 1]: log p(ids[i + 1] | ids[: i + 1]), and the logits they came from."""
    with in_double():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    logprobs = F.log_softmax(logits, dim=-1)
    return logprobs[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0], logits


def digest(tensor):
    """What a test compares where the full tensor is not committed: norm, sum, dot product with sin(1), sin(2), ..."""
    flat = tensor.detach().double().flatten()
    wave = torch.sin(torch.arange(1, flat.numel() + 1, dtype=torch.float64))
    return {"norm": flat.norm().item(), "sum": flat.sum().item(), "dot": torch.dot(flat, wave).item()}


def round_floats(value):
    """15 digits, finer than any comparison made with them."""
    if isinstance(value, float):
        return float(f"{value:.15g}") if math.isfinite(value) else value
    if isinstance(value, dict):
        return {key: round_floats(entry) for key, entry in value.items()}
    return [round_floats(entry) for entry in value] if isinstance(value, list) else value
