"""Forward and backward of the sampled tokens' logprobs with transformers in eager PyTorch, rows of
equal length, a few rows at a time: what an update costs where nothing is shared. No optimizer."""
import torch
import transformers

from common import DEVICE, WORK, converse, open_policy, rollout_rows

shape = WORK["shape"]
model = open_policy().train()
vocab = WORK["policy"]["vocab"]
prompts = rollout_rows(shape)
sampled = torch.randint(3, vocab, (len(prompts), shape["sampled"]))
rollouts = torch.cat([prompts, sampled], dim=1).to(DEVICE)


def work():
    for rows in rollouts.split(WORK["micro"]):
        # The last row of logits follows the last token: nobody asks for it.
        logits = model(rows, logits_to_keep=shape["sampled"] + 1).logits[:, :-1]
        targets = rows[:, -shape["sampled"] :].reshape(-1)
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, vocab).float(), targets)
        (loss * len(rows) / len(rollouts)).backward()
    model.zero_grad(set_to_none=True)


converse(work, version=transformers.__version__)
