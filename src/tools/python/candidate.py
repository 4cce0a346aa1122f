"""The process of model-written code under test: loads the code, then answers calls until nobody
asks.

It is not trusted, and nothing that it says decides anything: the judge compares its values.
"""
import builtins
import io
import json
import os
import pickle

import icrl_values as values

MAX_ITEMS = 1_000_000  # of an iterator
MAX_TEXT = 200


class Objects(pickle.Unpickler):
    """Arguments; a stand-in of the judge's becomes the object again."""

    def __init__(self, data, held, names):
        super().__init__(io.BytesIO(data))
        self.held, self.names = held, names

    def persistent_load(self, target):
        return self.names[target] if isinstance(target, str) else self.held[target]


def operate(kind, target, *rest):
    if kind == "call":
        return target(*rest[0], **rest[1])
    if kind == "get":
        return getattr(target, rest[0])
    if kind == "set":
        return setattr(target, rest[0], rest[1])
    items = []
    for item in target:
        items.append(item)
        if len(items) > MAX_ITEMS:
            raise ValueError("an iterator of more than %d items" % MAX_ITEMS)
    return items


def respond(data, held, names):
    try:
        kind, target, *rest = Objects(data, held, names).load()
        value = operate(kind, names[target] if isinstance(target, str) else held[target], *rest)
        keep = lambda it: held.append(it) or len(held) - 1
        text = json.dumps({"value": values.encode(value, keep)})
    except BaseException as error:
        message = str(error)[:MAX_TEXT]
        text = json.dumps({"error": [type(error).__name__, message]})
    values.send(values.REPLIES, text.encode())


def load(code):
    """The names that the code defines, or the error that it ends in."""
    names = {"__name__": "candidate", "__builtins__": builtins}
    try:
        exec(compile(code, "<code>", "exec"), names)
        return names, None
    except BaseException as error:
        return names, [type(error).__name__, str(error)[:MAX_TEXT]]


def main(text):
    names, error = load(text)
    loaded = {"value": None} if error is None else {"error": error}
    values.send(values.REPLIES, json.dumps(loaded).encode())
    held = []
    while error is None:
        data = values.receive(values.CALLS)
        if data is None:
            break
        respond(data, held, names)
    os._exit(0)
