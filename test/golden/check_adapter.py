"""Loads a model folder with transformers and an adapter's folder with PEFT, both as they are, and prints the logprobs of token
ids as JSON: with the adapter beside the weights, and merged into them.

Run: python3 test/golden/check_adapter.py MODEL ADAPTER 1,2,3. test/model/peft.test.ts compares them.
"""
import json
import sys

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

folder, adapter, ids = sys.argv[1], sys.argv[2], [int(word) for word in sys.argv[3].split(",")]


def logprobs(model):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    return torch.log_softmax(logits, -1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()


base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
model = PeftModel.from_pretrained(base, adapter)
beside = logprobs(model)
print(json.dumps({"beside": beside, "merged": logprobs(model.merge_and_unload())}))
