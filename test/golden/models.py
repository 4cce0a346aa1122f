"""Golden values of tiny random models of every family, from transformers. Run: python3 test/golden/models.py

Needs torch 2.13.0 and transformers 5.23.0. Writes, beside this file:
  models/NAME/   a Hugging Face folder, as save_pretrained makes it, and config.other.json: the same settings in the other
                 spelling (rope_theta and rope_scaling against rope_parameters)
  models/NAME/golden.json        ids, logits of some rows, logprobs, entropies, digests of every gradient, in double
  models/NAME/golden.grads.safetensors   the gradients of the mean negative logprob, float32
  rope.json      rotary frequencies of released models' settings, as transformers computes them (float32)
"""
import json
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

from double import digest, load_double, round_floats, token_logprobs

HERE = pathlib.Path(__file__).parent
SEED = 20240
VOCAB = 80
COMMON = {"vocab_size": VOCAB, "num_hidden_layers": 2, "max_position_embeddings": 256, "initializer_range": 0.02}
SMALL = {**COMMON, "hidden_size": 24, "intermediate_size": 36, "num_attention_heads": 4}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
YARN = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 4.0, "original_max_position_embeddings": 64}

# name, config, dtype of the files, whether config.json is in the old spelling, largest shard
MODELS = [
    (
        "qwen2-tied",
        Qwen2Config(
            **SMALL,
            num_key_value_heads=2,
            tie_word_embeddings=True,
            eos_token_id=0,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        ),
        torch.bfloat16,
        False,
        "1GB",
    ),
    (
        "qwen2-untied-yarn",
        Qwen2Config(**SMALL, num_key_value_heads=4, tie_word_embeddings=False, eos_token_id=0, rope_parameters=YARN),
        torch.float32,
        True,
        "1GB",
    ),
    (
        "qwen3-tied",
        Qwen3Config(
            **SMALL,
            num_key_value_heads=1,
            head_dim=10,
            tie_word_embeddings=True,
            eos_token_id=0,
            rms_norm_eps=1e-5,
            rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        ),
        torch.bfloat16,
        True,
        "1GB",
    ),
    (
        "llama3-untied-shards",
        LlamaConfig(
            **{**SMALL, "hidden_size": 32},
            num_key_value_heads=2,
            tie_word_embeddings=False,
            bos_token_id=1,
            eos_token_id=[2, 3, 5],
            rms_norm_eps=1e-5,
            rope_parameters=LLAMA3,
        ),
        torch.float16,
        True,
        "20KB",
    ),
    (
        "llama-tied-linear",
        LlamaConfig(
            **SMALL,
            num_key_value_heads=2,
            head_dim=8,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            rope_parameters={"rope_type": "linear", "rope_theta": 500000.0, "factor": 2.0},
        ),
        torch.bfloat16,
        False,
        "1GB",
    ),
]


def randomize(model, generator, dtype):
    """Large enough that every part of the model matters; representable in the dtype of the files."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        if name.endswith("norm.weight"):
            value = 1 + 0.3 * noise
        elif name.endswith("bias"):
            value = 0.5 * noise
        else:
            value = noise * (0.5 if "embed" in name else 1.2 / parameter.shape[1] ** 0.5)
        parameter.data = value.to(dtype)


def other_spelling(config):
    """transformers 4 (rope_theta, rope_scaling, torch_dtype) from transformers 5 (rope_parameters, dtype)."""
    old = {key: value for key, value in config.items() if key not in ("rope_parameters", "dtype")}
    parameters = dict(config["rope_parameters"])
    old["rope_theta"] = parameters.pop("rope_theta")
    old["rope_scaling"] = None if parameters["rope_type"] == "default" else parameters
    old["torch_dtype"] = config["dtype"]
    return old


def write_folder(name, config, dtype, old, max_shard, generator):
    folder = HERE / "models" / name
    shutil.rmtree(folder, ignore_errors=True)
    model = AutoModelForCausalLM.from_config(config)
    randomize(model, generator, dtype)
    model.to(dtype).save_pretrained(folder, max_shard_size=max_shard)
    new = json.loads((folder / "config.json").read_text())
    new.pop("transformers_version")
    spellings = [other_spelling(new), new] if old else [new, other_spelling(new)]
    for file, spelling in zip(("config.json", "config.other.json"), spellings):
        (folder / file).write_text(json.dumps(spelling, indent=1) + "\n")
    return folder


def write_golden(folder, generator):
    ids = torch.randint(0, VOCAB, (24,), generator=generator).tolist()
    model = load_double(folder)
    logprobs, logits = token_logprobs(model, ids)
    check_against_float32(folder, ids, logits)
    loss = -logprobs.mean()
    loss.backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    probabilities = torch.softmax(logits, dim=-1)
    rows = [0, 11, 23]
    golden = {
        "ids": ids,
        "rows": rows,
        "logits": [logits[row].tolist() for row in rows],
        "logprobs": [None, *logprobs.tolist()],
        "entropies": (-(probabilities * torch.log_softmax(logits, dim=-1)).sum(-1)).tolist(),
        "loss": loss.item(),
        "grads": {name: digest(gradient) for name, gradient in gradients.items()},
    }
    (folder / "golden.json").write_text(json.dumps(round_floats(golden)) + "\n")
    save_file({name: gradient.float() for name, gradient in gradients.items()}, folder / "golden.grads.safetensors")


def check_against_float32(folder, ids, logits):
    """The double forward is transformers' own: its untouched float32 forward differs by rounding only."""
    for file in ("config.json", "config.other.json"):
        config = type(AutoModelForCausalLM.from_pretrained(folder).config)(**json.loads((folder / file).read_text()))
        single = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)
        difference = (single(torch.tensor([ids])).logits[0] - logits).abs().max() / logits.abs().max()
        assert difference < 1e-5, (folder, file, difference)
        print(f"{folder.name} {file}: float32 differs by {difference:.1e}")


def write_tokenizer(folder):
    """Byte-level BPE over lower-case text, so that the folder can be scored from text too."""
    text = ["the cat sat on the mat, and the dog ate the hat. then that cat and that dog ran to the mat."]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=["<|endoftext|>"], show_progress=False)
    tokenizer.train_from_iterator(text, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    golden = {"text": "the cat and that hat.", "ids": tokenizer.encode("the cat and that hat.").ids}
    (folder / "golden.text.json").write_text(json.dumps(golden) + "\n")


def rope_cases():
    big = {"hidden_size": 4096, "num_attention_heads": 32, "max_position_embeddings": 131072}
    llama31 = {**LLAMA3, "rope_theta": 500000.0, "original_max_position_embeddings": 8192}
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768, "rope_theta": 1e6}
    yield "qwen2", {**big, "rope_theta": 1e6}
    yield "qwen2", {**big, "hidden_size": 896, "num_attention_heads": 14, "rope_parameters": {"rope_theta": 1e6}}
    yield "qwen2", {**big, "rope_parameters": yarn}
    yield "qwen3", {**big, "head_dim": 128, "rope_parameters": {**yarn, "mscale": 0.7, "mscale_all_dim": 1.3}}
    yield "qwen3", {**big, "head_dim": 64, "rope_parameters": {**yarn, "truncate": False, "beta_fast": 16, "beta_slow": 2}}
    yield "qwen3", {**big, "head_dim": 128, "rope_parameters": {**yarn, "attention_factor": 1.25}}
    yield "llama", {**big, "rope_parameters": llama31}
    yield "llama", {**big, "hidden_size": 2048, "head_dim": 64, "rope_parameters": {**llama31, "factor": 32.0}}
    yield "llama", {**big, "rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 1e4}}
    yield "llama", big


def write_rope():
    classes = {"qwen2": Qwen2Config, "qwen3": Qwen3Config, "llama": LlamaConfig}
    cases = []
    for family, settings in rope_cases():
        config = classes[family](**json.loads(json.dumps(settings)), num_hidden_layers=0, vocab_size=2, intermediate_size=2)
        rotary = AutoModelForCausalLM.from_config(config).model.rotary_emb
        inv_freq = [float(f"{value:.9g}") for value in rotary.inv_freq.tolist()]
        cases.append({"family": family, "config": settings, "inv_freq": inv_freq, "scale": rotary.attention_scaling})
    (HERE / "rope.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


def main():
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    for name, *settings in MODELS:
        write_golden(write_folder(name, *settings, generator), generator)
    write_tokenizer(HERE / "models" / "qwen2-tied")
    write_rope()


if __name__ == "__main__":
    main()
