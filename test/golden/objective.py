"""Golden values of the objective: loss and gradients by torch autograd, and TRL's own GRPO loss.

Run: python test/golden/objective.py   (torch 2.13.0, trl 1.16.0; writes objective.json beside itself)

Everything is in double. `cases` evaluate formulas written here on padded [rollouts, tokens] tensors, differentiated by
autograd. `trl` calls TRL's GRPOTrainer._compute_loss itself on a stand-in trainer whose model forward returns the given
logprobs, so each line of its loss runs as released. `advantages` uses torch's mean and std.
"""

import json
import pathlib
from collections import defaultdict
from types import SimpleNamespace

import torch
import trl
from trl.trainer.grpo_trainer import GRPOTrainer

SEED = 20260314
LENGTHS = [9, 3, 6, 1, 12, 7]  # trained tokens of each rollout
GROUPS = [0, 0, 0, 1, 1, 1]
REWARDS = [[1.0, 0.2, 0.95], [0.0, 0.98, 0.2]]
MAX_TOKENS = 16


def make_inputs():
    torch.manual_seed(SEED)
    rollouts, width = len(LENGTHS), 2 * max(LENGTHS)
    mask = torch.zeros(rollouts, width, dtype=torch.float64)
    for row, length in enumerate(LENGTHS):  # trained tokens lie between tool tokens
        mask[row, torch.randperm(width)[:length]] = 1
    sampler = -3 * torch.rand(rollouts, width, dtype=torch.float64) - 0.05
    policy = sampler + 0.35 * torch.randn(rollouts, width, dtype=torch.float64)
    policy[2] = sampler[2]  # a rollout that is exactly on policy
    reference = sampler + 0.5 * torch.randn(rollouts, width, dtype=torch.float64)
    entropies = 2 * torch.rand(rollouts, width, dtype=torch.float64)
    return SimpleNamespace(
        mask=mask, sampler=sampler, policy=policy, reference=reference, entropies=entropies
    )


def advantages(rewards, std, eps):
    rewards = torch.tensor(rewards, dtype=torch.float64)
    centred = rewards - rewards.mean(dim=1, keepdim=True)
    if std == "none":
        return centred
    return centred / (rewards.std(dim=1, keepdim=True, correction=int(std == "unbiased")) + eps)


def policy_loss(ratio, advantage, options):
    low, high = 1 - options["clipLow"], 1 + options["clipHigh"]
    surrogate = torch.minimum(ratio * advantage, ratio.clamp(low, high) * advantage)
    if "clipDual" in options:
        bound = torch.maximum(surrogate, options["clipDual"] * advantage)
        surrogate = torch.where(advantage < 0, bound, surrogate)
    return -surrogate


def kl(kind, policy, reference):
    log_ratio = reference - policy
    if kind == "k1":
        return -log_ratio
    return log_ratio**2 / 2 if kind == "k2" else torch.exp(log_ratio) - 1 - log_ratio


def reduce(kind, losses, mask):
    losses, rollouts = losses * mask, mask.shape[0]
    if kind == "token_mean":
        return losses.sum() / mask.sum()
    if kind == "sequence_mean":
        return (losses.sum(1) / mask.sum(1)).mean()
    if kind == "sequence_sum":
        return losses.sum(1).mean()
    if kind == "sequence_sum_over_max":
        return (losses.sum(1) / MAX_TOKENS).mean()
    groups = torch.tensor(GROUPS)
    means = [losses[groups == g].sum() / mask[groups == g].sum() for g in sorted(set(GROUPS))]
    return torch.stack(means).mean()


def evaluate(inputs, advantage, options, reduction):
    policy = inputs.policy.clone().requires_grad_()
    entropies = inputs.entropies.clone().requires_grad_()
    losses = policy_loss(torch.exp(policy - inputs.sampler), advantage[:, None], options)
    losses = losses + options["kl"]["coefficient"] * kl(
        options["kl"]["kind"], policy, inputs.reference
    )
    losses = losses - options["entropy"] * entropies
    loss = reduce(reduction, losses, inputs.mask)
    d_policy, d_entropies = torch.autograd.grad(loss, [policy, entropies])
    return {
        "loss": loss.item(),
        "dLogprobs": flat(d_policy, inputs.mask),
        "dEntropies": flat(d_entropies, inputs.mask),
    }


# loss_type of TRL -> the reduction that it is
TRL_LOSS_TYPES = {
    "grpo": "sequence_mean",
    "bnpo": "token_mean",
    "dapo": "token_mean",
    "dr_grpo": "sequence_sum_over_max",
}


def trl_trainer(loss_type, options, policy, entropies):
    """What GRPOTrainer._compute_loss reads of its trainer, for one process and one micro-batch a step."""
    return SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (policy, entropies, None),
        accelerator=SimpleNamespace(
            num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x
        ),
        args=SimpleNamespace(
            delta=options.get("clipDual"), use_bias_correction_kl=False, steps_per_generation=1
        ),
        aux_loss_enabled=False,
        beta=options["kl"]["coefficient"],
        current_gradient_accumulation_steps=1,
        entropy_coef=options["entropy"],
        _entropy_bonus_enabled=options["entropy"] != 0,
        use_adaptive_entropy=False,
        epsilon_low=options["clipLow"],
        epsilon_high=options["clipHigh"],
        importance_sampling_level="token",
        loss_type=loss_type,
        max_completion_length=MAX_TOKENS,
        model=SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        vllm_importance_sampling_correction=False,
        _metrics={"train": defaultdict(list)},
    )


def evaluate_trl(inputs, advantage, options, loss_type):
    policy = inputs.policy.clone().requires_grad_()
    trainer = trl_trainer(loss_type, options, policy, inputs.entropies)
    trainer.accelerator.sync_gradients = True
    ids = torch.zeros_like(inputs.mask, dtype=torch.long)
    batch = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": torch.ones_like(ids[:, :1]),
        "completion_ids": ids,
        "completion_mask": torch.ones_like(inputs.mask),
        "tool_mask": inputs.mask,
        "advantages": advantage,
        "old_per_token_logps": inputs.sampler,
        "ref_per_token_logps": inputs.reference,
        "num_items_in_batch": inputs.mask.sum(),
    }
    loss = GRPOTrainer._compute_loss(trainer, trainer.model, batch)
    (d_policy,) = torch.autograd.grad(loss, [policy])
    metrics = trainer._metrics["train"]
    return {
        "loss": loss.item(),
        "dLogprobs": flat(d_policy, inputs.mask),
        "clipShareLow": metrics["clip_ratio/low_mean"][0],
        "clipShareHigh": metrics["clip_ratio/high_mean"][0],
        "kl": metrics["kl"][0] if options["kl"]["coefficient"] else None,
        "entropy": metrics["entropy"][0],
    }


def flat(values, mask):
    return values[mask.bool()].tolist()  # rollout by rollout


def name(options, reduction):
    kl, dual = options["kl"], options.get("clipDual")
    words = [reduction, f"clip {options['clipLow']}/{options['clipHigh']}"]
    words += [f"dual {dual}"] if dual else []
    words += [f"{kl['kind']} * {kl['coefficient']}"] if kl["coefficient"] else []
    return ", ".join(words + ([f"entropy {options['entropy']}"] if options["entropy"] else []))


def option(clip=(0.2, 0.2), dual=None, kind="k3", coefficient=0.0, entropy=0.0):
    made = {
        "clipLow": clip[0],
        "clipHigh": clip[1],
        "kl": {"kind": kind, "coefficient": coefficient},
        "entropy": entropy,
    }
    return made if dual is None else {**made, "clipDual": dual}


CASES = [
    *[
        (option(kind="k3", coefficient=0.04, entropy=0.01), reduction)
        for reduction in (
            "token_mean",
            "sequence_mean",
            "group_mean",
            "sequence_sum",
            "sequence_sum_over_max",
        )
    ],
    (option(), "token_mean"),
    (option(clip=(0.2, 0.28)), "token_mean"),
    (option(clip=(0.1, 0.5)), "sequence_mean"),
    (option(clip=(0.2, 0.28), dual=1.3), "token_mean"),
    (option(kind="k1", coefficient=0.1), "token_mean"),
    (option(kind="k2", coefficient=0.1), "sequence_mean"),
    (option(clip=(0.0, 0.0), kind="k3", coefficient=0.5), "sequence_sum"),
    (option(entropy=0.05), "group_mean"),
]
TRL_CASES = [
    (option(clip=clip, dual=dual, coefficient=coefficient), loss_type)
    for loss_type in TRL_LOSS_TYPES
    for clip, dual, coefficient in [
        ((0.2, 0.2), None, 0.0),
        ((0.2, 0.28), None, 0.04),
        ((0.2, 0.28), 1.3, 0.04),
    ]
] + [(option(coefficient=0.001, entropy=0.01), "bnpo")]


def main():
    inputs = make_inputs()
    advantage = advantages(REWARDS, "unbiased", 1e-6).flatten()
    golden = {
        "seed": SEED,
        "torch": torch.__version__,
        "trlVersion": trl.__version__,
        "maxTokens": MAX_TOKENS,
        "groups": GROUPS,
        "rewards": REWARDS,
        "sources": [row for row, length in enumerate(LENGTHS) for _ in range(length)],
        **{
            name: flat(getattr(inputs, name), inputs.mask)
            for name in ("policy", "sampler", "reference", "entropies")
        },
        "advantages": [
            {"std": std, "eps": eps, "values": advantages(REWARDS, std, eps).tolist()}
            for std, eps in [("unbiased", 1e-6), ("biased", 1e-4), ("none", 0.0)]
        ],
        "cases": [
            {
                "name": name(o, r),
                "options": o,
                "reduction": r,
                **evaluate(inputs, advantage, o, r),
            }
            for o, r in CASES
        ],
        "trl": [
            {
                "name": name(o, kind),
                "options": o,
                "reduction": TRL_LOSS_TYPES[kind],
                **evaluate_trl(inputs, advantage, o, kind),
            }
            for o, kind in TRL_CASES
        ],
    }
    path = pathlib.Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(golden, indent=1) + "\n")


main()
