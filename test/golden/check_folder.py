"""Loads a model folder with transformers, as it is, and prints the logprobs of token ids as JSON; with a text, also its
ids under the folder's tokenizer.

Run: python3 test/golden/check_folder.py FOLDER 1,2,3 [TEXT]. test/model/transformers.test.ts compares them.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, ids = sys.argv[1], [int(word) for word in sys.argv[2].split(",")]
model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
problems = {key: sorted(map(str, names)) for key, names in report.items() if names}
stored = str(model.dtype)
with torch.no_grad():
    logits = model.float()(torch.tensor([ids])).logits[0]
chosen = torch.log_softmax(logits, -1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
answer = {"dtype": stored, "problems": problems, "logprobs": [None, *chosen.tolist()]}
if len(sys.argv) > 3:
    answer["encoded"] = AutoTokenizer.from_pretrained(folder)(sys.argv[3])["input_ids"]
print(json.dumps(answer))
