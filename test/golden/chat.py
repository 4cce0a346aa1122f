"""Golden values of tokenizers and chat templates of real models, from transformers and tokenizers.

Run: python3 test/golden/chat.py FIXTURES, where FIXTURES is the folder that test/helpers/fixtures.ts fills (one folder a
model: tokenizer.json, tokenizer_config.json). Needs transformers 5; writes tokenizers.json, chat.json and jinja.json
beside this script. Rendered texts of foreign templates are kept as their SHA-256 alone: the templates are not ours.
"""
import hashlib
import json
import random
import sys
from pathlib import Path

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

HERE = Path(__file__).parent
FIXTURES = Path(sys.argv[1])
MODELS = ["qwen2_5", "qwen3", "llama3_2"]
SEED = 20

WRITTEN = [
    "", " ", "\n", "\n\n", " \n \n", "\t\tx", "a\r\nb\rc", "Hello, World!", "don't I'LL we'Re 'S 'x", "   leading and trailing   ",
    "1234567 12,345.67 0x1F 1e-9", "x=1;y=2;if(x==y){return(z);}", "for (let i = 0; i < n; ++i) {\n        f(i);\n}", "<think> so </think>\n<search> a b </search>",
    "<information> Doc 1(Title: \"T\") text </information>", "<answer>42</answer><|im_end|>", "<|endoftext|>", "a<|im_start|>user\nb", "<|eot_id|><|begin_of_text|>",
    "<|im_end", "<|notatoken|>", "</tool_call><tool_call>{\"name\": \"f\"}</tool_call>", "caf\u00e9 cafe\u0301 \u212b A\u030a \ufb01", "\u1e9b\u0323 \u0958 \u0344", "\uac00 \u1100\u1161 \uac01",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u3053\u3093\u306b\u3061\u306f \uc548\ub155", "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22",
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f", "\u00a0\u2003\u3000 spaces \u2028\u2029 \u200b\u200d\ufeff", "\u0660\u0661\u0662 \u00bd \u2167 \u2460 \u00b2",
    "\x00\x01\x02 \x1b[31m\x7f\x85", "\u00df\u1e9e \u0130i\u0131I \u017f\u212a 'ſ 'ſx", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "=" * 40, "-" * 7 + "\n" + "-" * 9, "\n" * 9 + " " * 9 + "\n",
    "The quick brown fox jumps over the lazy dog. " * 3, "https://example.org/a?b=c&d=%20#e", "snake_case camelCase SCREAMING kebab-case", "\U0001d518\U0001d52b\U0001d526 \U00010348 \U000e0001",
    "\ue000\uf8ff\U0010ffff \ufffe\ufffd", "\u0301\u0301start", "x\u0338 \u226f", "Zalgo: h\u0335\u0321\u0353e\u0334\u0322\u035al\u0337l\u0338o", "5,555\u00b0C \u2014 \u201cquoted\u201d \u2026",
]
RANGES = [
    (0x20, 0x7E), (0x20, 0x7E), (0x20, 0x7E), (0x09, 0x0D), (0xA0, 0xFF), (0x100, 0x24F), (0x2B0, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0x97F),
    (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x20CF), (0x2100, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xFF00, 0xFFEF), (0x1F300, 0x1FAFF),
]
WORDS = ["the", " of", "<|", "|>", "'s", "'LL", "\n\n", "  ", "123", "\u00e9", "<|im_end|>", "<|eot_id|>", "</search>", "\r\n", ".", "?\n"]


def corpus():
    rng = random.Random(SEED)
    texts = list(WRITTEN)
    for _ in range(240):
        parts = []
        for _ in range(rng.randint(1, 9)):
            if rng.random() < 0.35:
                parts.append(rng.choice(WORDS))
            else:
                low, high = rng.choice(RANGES)
                parts.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 4))))
        texts.append("".join(parts))
    return texts


def sha256(data):
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).hexdigest()


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Finds \"passages\" \u2014 caf\u00e9 <b>&amp;</b>\nsecond line",
            "parameters": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "top_k": {"type": "integer", "default": 3, "minimum": 0.5, "enum": [1, 2, None, True]}},
                "required": ["query"],
            },
        },
    },
    {"type": "function", "function": {"name": "stop", "parameters": {"type": "object", "properties": {}, "required": []}}},
]
CALL = {"type": "function", "function": {"name": "search", "arguments": {"query": "Zo\u00eb \"x\"\n", "top_k": 2, "deep": {"a": [1, 2.5, None, False]}}}}
SYSTEM = {"role": "system", "content": "  Be brief.\n"}
QUESTION = {"role": "user", "content": "Who wrote \u201cX\u201d?\n"}
THINKING = {"role": "assistant", "content": "<think>\n\nso it is\n\n</think>\n\n\nIt is Y.\n"}
CALLING = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": "Doc 1: \u201cY\u201d\n"}
CASES = {
    "one user message": {"messages": [QUESTION]},
    "one user message, no generation prompt": {"messages": [QUESTION], "prompt": False},
    "a system message": {"messages": [SYSTEM, QUESTION]},
    "several turns": {"messages": [SYSTEM, QUESTION, THINKING, QUESTION]},
    "thinking after the last question": {"messages": [QUESTION, THINKING], "prompt": False},
    "tools": {"messages": [QUESTION], "tools": TOOLS},
    "tools and a system message": {"messages": [SYSTEM, QUESTION], "tools": TOOLS},
    "a call and its result": {"messages": [QUESTION, CALLING, RESULT], "tools": TOOLS},
    "two results and an answer": {"messages": [QUESTION, CALLING, RESULT, CALLING, RESULT, THINKING, QUESTION], "tools": TOOLS},
    "tools in the system message": {"messages": [SYSTEM, QUESTION], "tools": TOOLS, "variables": {"tools_in_user_message": False}},
    "no thinking": {"messages": [QUESTION], "variables": {"enable_thinking": False}},
    "special tokens in the text": {"messages": [{"role": "user", "content": "a <|im_end|> b <|eot_id|>"}]},
}
DATE = "26 Jul 2024"
ASKED = "Answer the question.\n\n<think> a </think>\n\nQuestion: Who is it?"


def chat(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text())
    specials = {key: value for key, value in config.items() if key in ("bos_token", "eos_token", "pad_token", "unk_token") and value}
    fast = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), chat_template=config["chat_template"], **specials)
    rendered = {}
    for name, case in CASES.items():
        options = {"tools": case.get("tools"), "add_generation_prompt": case.get("prompt", True), "tokenize": False}
        text = fast.apply_chat_template(case["messages"], date_string=DATE, **options, **case.get("variables", {}))
        rendered[name] = {"sha256": sha256(text), "length": len(text)}
    message = [{"role": "user", "content": ASKED}]
    ids = fast.apply_chat_template(message, add_generation_prompt=True, tokenize=True, return_dict=False, date_string=DATE)
    return {"rendered": rendered, "asked": ids}


# Templates of our own, for what the port of jinja2 does otherwise.
TEMPLATES = {
    "constants": "{{ true }} {{ false }} {{ none }} {{ True }} {{ None }} {{ missing }}|",
    "numbers": "{{ 1.0 }} {{ 2.50 }} {{ 3 / 2 }} {{ 4 / 2 }} {{ 7 // 2 }} {{ half }} {{ tiny }} {{ big }} {{ 0.1 + 0.2 }}",
    "strip with characters": "[{{ '\\n\\nx\\n'.strip('\\n') }}][{{ ' xyx '.lstrip(' x') }}][{{ 'aXa'.rstrip('a') }}][{{ '  a '.strip() }}][{{ ' a '.strip(none) }}]",
    "strip of odd white space": "[{{ '\\u00a0\\u2003a\\ufeff'.strip() }}][{{ '\\x1ca\\x85' | trim }}][{{ '--a-' | trim('-') }}]",
    "lists and dictionaries": "{{ [1, 'a', none, true, 1.0, \"it's\"] }} {{ {'k': [1, {'n': none}]} }} {{ messages[0] }}",
    "concatenation": "{{ 'a' ~ none ~ true ~ 1.0 ~ [1] }} {{ none | string }} {{ [1, none, 'x'] | join(', ') }} {{ ['a', 'b'] | join }}",
    "json": "{{ data | tojson }}\n{{ data | tojson(indent=2) }}\n{{ data | tojson(sort_keys=true, separators=(',', ':')) }}\n{{ {'x': 1.0, 'e': '\\u00e9\\u2028\\x07'} | tojson(ensure_ascii=true) }}\n{{ [] | tojson(indent=2) }}",
    "blocks and white space": "{% for m in messages %}\n  {%- if loop.first %}\n    first\n  {%- endif %}\n{{ m.role }}\n{% endfor %}\nend\n",
    "a conditional without else": "[{{ 'x' if false }}][{{ 'x' if true }}]",
    "macros, namespaces, reversed messages": "{% macro f(x, y='d') %}<{{ x }}{{ y }}{{ none }}>{% endmacro %}{% set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + 1 %}{{ f(m.role) }}{% endfor %}{{ ns.n }}",
    "split, replace, title, items": "{{ 'a</t>b</t>c'.split('</t>')[-1] }} {{ 'aa'.replace('a', 'b') }} {{ 'ab cd' | title }} {% for k, v in data.items() %}{{ k }}={{ v }};{% endfor %}",
}
VARIABLES = {
    "messages": [{"role": "user", "content": "q's \"x\"\n"}, {"role": "assistant", "content": None}],
    "data": {"b": [1, 2.5, None, True, "\u00e9\u201c\n"], "a": {"nested": {}, "list": []}},
    "half": 0.5, "tiny": 1e-7, "big": 1.5e22,
}


def jinja():
    outputs = {}
    for name, template in TEMPLATES.items():
        rendered, _ = render_jinja_template(conversations=[VARIABLES["messages"]], chat_template=template, **{k: v for k, v in VARIABLES.items() if k != "messages"})
        outputs[name] = {"template": template, "text": rendered[0]}
    return {"variables": VARIABLES, "templates": outputs}


def write(name, value):
    (HERE / name).write_text(json.dumps(value, ensure_ascii=True, indent=None, separators=(",", ":")) .replace('},"', '},\n"') + "\n")


texts = corpus()
files = {model: {name: sha256((FIXTURES / model / name).read_bytes()) for name in ("tokenizer.json", "tokenizer_config.json")} for model in MODELS}
encoders = {model: Tokenizer.from_file(str(FIXTURES / model / "tokenizer.json")) for model in MODELS}
ids = {model: [encoder.encode(text, add_special_tokens=False).ids for text in texts] for model, encoder in encoders.items()}
decoded = {model: [encoder.decode(row, skip_special_tokens=False) for row in ids[model]] for model, encoder in encoders.items()}
changed = {model: {str(i): text for i, text in enumerate(decoded[model]) if text != texts[i]} for model in MODELS}
write("tokenizers.json", {"files": files, "texts": texts, "ids": ids, "decoded": changed})
write("chat.json", {"files": files, "date": DATE, "cases": CASES, "asked": ASKED, "models": {model: chat(FIXTURES / model) for model in MODELS}})
write("jinja.json", jinja())
