"""Golden values of LoRA as PEFT trains and stores it. Run after models.py, with peft 0.21: python3 test/golden/lora.py

The model of models/qwen3-tied in double under peft.get_peft_model with adapters at every matrix of a layer, whose start is a
formula (A sines, B cosines, so that both have gradients at once); 20 steps of torch.optim.AdamW with clipping, as in adamw.py.
Writes lora.json: losses, norms, digests of adapters, moments and merged weights, and what save_pretrained writes (names and
shapes of the tensors, the config).
"""
import json
import pathlib
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from safetensors import safe_open

from adamw import HERE, SEED, SETTINGS, STEPS, learning_rate, train
from double import digest, load_double, round_floats

SETTINGS["maxGradNorm"] = 2.5  # that some steps exceed and some do not
LORA = {"rank": 3, "alpha": 7}
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def start(model):
    """The t-th tensor in the order of names: A = 0.2 sin(k + t), B = 0.1 cos(k + t), k = 1, 2, ... over its elements."""
    for t, (name, value) in enumerate(sorted(adapters(model).items())):
        k = torch.arange(1, value.numel() + 1, dtype=torch.float64) + t
        wave = 0.2 * torch.sin(k) if "lora_A" in name else 0.1 * torch.cos(k)
        value.data.copy_(wave.view_as(value))


def adapters(model):
    """By the engine's names."""
    return {
        name.replace("base_model.model.", "", 1).replace(".default.", "."): value
        for name, value in model.named_parameters()
        if "lora_" in name
    }


def saved(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((pathlib.Path(folder) / "adapter_config.json").read_text())
        with safe_open(pathlib.Path(folder) / "adapter_model.safetensors", "pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in sorted(file.keys())}
    del config["base_model_name_or_path"]  # this machine's
    return {"config": {**config, "target_modules": sorted(config["target_modules"])}, "shapes": shapes}


def main():
    generator = torch.Generator().manual_seed(SEED)
    lengths = [[12, 9, 14], [7, 16, 5]]
    batches = [[torch.randint(0, 80, (n,), generator=generator).tolist() for n in batch] for batch in lengths]
    base = load_double(HERE / "models" / "qwen3-tied")
    config = LoraConfig(
        r=LORA["rank"], lora_alpha=LORA["alpha"], target_modules=TARGETS, task_type="CAUSAL_LM", lora_dropout=0.0
    )
    model = get_peft_model(base, config).double()
    start(model)
    optimizer, losses, norms = train(model, batches)
    named = adapters(model)
    golden = {
        "lora": LORA,
        "settings": SETTINGS,
        "learningRates": [learning_rate(step) for step in range(STEPS)],
        "batches": batches,
        "losses": losses,
        "gradNorms": norms,
        "adapters": {name: digest(value) for name, value in named.items()},
        "firstMoments": {name: digest(optimizer.state[value]["exp_avg"]) for name, value in named.items()},
        "secondMoments": {name: digest(optimizer.state[value]["exp_avg_sq"]) for name, value in named.items()},
        "saved": saved(model),
        "merged": {name: digest(value) for name, value in model.merge_and_unload().named_parameters()},
    }
    (HERE / "lora.json").write_text(json.dumps(round_floats(golden), indent=1) + "\n")
    print(f"loss {losses[0]:.4f} to {losses[-1]:.4f}, norms {min(norms):.3f} to {max(norms):.3f}")


if __name__ == "__main__":
    main()
