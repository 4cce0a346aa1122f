"""Golden values of 20 AdamW steps with clipping, from torch.optim. Run after models.py: python3 test/golden/adamw.py

The model of models/qwen3-tied in double, the mean negative logprob of three fixed sequences, a warm-up and a decay of the
learning rate, weight decay on every tensor, and a clipping norm that some steps exceed and some do not. Writes adamw.json.
"""
import json
import pathlib

import torch

from double import digest, load_double, round_floats, token_logprobs

HERE = pathlib.Path(__file__).parent
SEED = 7
STEPS = 20
SETTINGS = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weightDecay": 0.1, "maxGradNorm": 1.6}


def learning_rate(step):
    return 0.02 * min(1, (step + 1) / 4) * (1 - step / STEPS)


def mean_loss(model, batch):
    return -torch.cat([token_logprobs(model, ids)[0] for ids in batch]).mean()


def train(model, batches):
    betas = SETTINGS["beta1"], SETTINGS["beta2"]
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=betas, eps=SETTINGS["eps"], weight_decay=SETTINGS["weightDecay"]
    )
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = learning_rate(step)
        optimizer.zero_grad()
        loss = mean_loss(model, batches[step % len(batches)])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), SETTINGS["maxGradNorm"]).item())
        losses.append(loss.item())
        optimizer.step()
    return optimizer, losses, norms


def main():
    generator = torch.Generator().manual_seed(SEED)
    lengths = [[12, 9, 14], [7, 16, 5]]
    batches = [[torch.randint(0, 80, (n,), generator=generator).tolist() for n in batch] for batch in lengths]
    model = load_double(HERE / "models" / "qwen3-tied")
    optimizer, losses, norms = train(model, batches)
    named = dict(model.named_parameters())
    golden = {
        "settings": SETTINGS,
        "learningRates": [learning_rate(step) for step in range(STEPS)],
        "batches": batches,
        "losses": losses,
        "gradNorms": norms,
        "weights": {name: digest(value) for name, value in named.items()},
        "firstMoments": {name: digest(optimizer.state[value]["exp_avg"]) for name, value in named.items()},
        "secondMoments": {name: digest(optimizer.state[value]["exp_avg_sq"]) for name, value in named.items()},
    }
    (HERE / "adamw.json").write_text(json.dumps(round_floats(golden), indent=1) + "\n")
    print(f"loss {losses[0]:.4f} to {losses[-1]:.4f}, norms {min(norms):.3f} to {max(norms):.3f}")


if __name__ == "__main__":
    main()
