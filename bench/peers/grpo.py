"""GRPO steps of TRL on a random policy: as many prompts, samples and tokens as icrl's step has,
every rollout to its full length. A step is generation, scoring and one update of the weights."""
import os
import sys
import tempfile
import time
import warnings

from common import WORK, answer, open_policy, prompt_rows, tell, wait_for_turn

warnings.filterwarnings("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
import trl
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers

STEPS = 64  # more than anyone asks for
shape = WORK["shape"]


def word_tokenizer():
    """Every id is a word of its own, so that a prompt has the tokens that it was given."""
    vocab = {f"t{i}": i for i in range(WORK["policy"]["vocab"])}
    core = Tokenizer(models.WordLevel(vocab, unk_token="t0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = dict(unk_token="t0", pad_token="t1", eos_token="t2")
    return transformers.PreTrainedTokenizerFast(tokenizer_object=core, padding_side="left", **names)


def prompt_texts():
    many = {**shape, "prompts": shape["prompts"] * STEPS}
    rows = prompt_rows(many, torch.Generator().manual_seed(1))
    return [" ".join(f"t{i}" for i in row) for row in rows.tolist()]


def reward(completions, **_):
    """Differs between samples, so that advantages are not zero."""
    return [len(set(text.split())) / shape["sampled"] for text in completions]


class Steps(trl.GRPOTrainer):
    """Waits for its turn before each step; the first is the warm-up."""

    taken = 0

    def training_step(self, *args, **kwargs):
        if self.taken == 1:
            tell(ready=True, version=trl.__version__)
        if self.taken >= 1:
            wait_for_turn()
        self.begin = time.perf_counter()
        return super().training_step(*args, **kwargs)

    def _generate(self, *args, **kwargs):
        start = time.perf_counter()
        result = super()._generate(*args, **kwargs)
        self.generate_seconds = time.perf_counter() - start
        return result


class AfterStep(transformers.TrainerCallback):
    """The optimizer's step belongs to the step, so the clock stops behind it."""

    def on_step_end(self, *_, **__):
        seconds = time.perf_counter() - trainer.begin
        if trainer.taken >= 1:
            answer(seconds, generate_seconds=trainer.generate_seconds)
        trainer.taken += 1


settings = trl.GRPOConfig(
    output_dir=tempfile.mkdtemp(prefix="icrl-bench-"),
    per_device_train_batch_size=shape["prompts"] * shape["samples"],
    num_generations=shape["samples"],
    max_completion_length=shape["sampled"],
    generation_kwargs=dict(min_new_tokens=shape["sampled"]),
    max_steps=STEPS,
    learning_rate=1e-6,
    beta=0.0,
    temperature=1.0,
    use_cpu=True,
    bf16=False,
    gradient_checkpointing=False,
    report_to=[],
    save_strategy="no",
    logging_strategy="no",
    disable_tqdm=True,
)
trainer = Steps(
    model=open_policy(),
    args=settings,
    processing_class=word_tokenizer(),
    train_dataset=Dataset.from_dict({"prompt": prompt_texts()}),
    reward_funcs=reward,
    callbacks=[AfterStep()],
)
trainer.train()
sys.exit(f"more than {STEPS - 1} steps were asked for")
