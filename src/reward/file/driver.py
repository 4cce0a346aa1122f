"""Runs a user's reward file for icrl: one JSON object a line in, one a line out.

Lines go over copies of the descriptors that this process was started with; what the user's code
prints goes to standard error, and it finds nothing on its standard input.
"""
import importlib.util
import inspect
import json
import math
import numbers
import os
import signal
import sys

NAMES = "id question golds answer response policy_text prompt tool_calls meta tests".split()


class NoReward(Exception):
    """The file has no function that could be called."""


def load(path):
    sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("icrl_reward_file", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    function = getattr(module, "reward", None)
    if not callable(function):
        raise NoReward("the reward file has no function reward(**row)")
    return function, wanted(function)


def wanted(function):
    """Names that the function takes; None: all of them."""
    parameters = inspect.signature(function).parameters.values()
    if any(it.kind is it.VAR_KEYWORD for it in parameters):
        return None
    names = [it.name for it in parameters]
    unknown = [it.name for it in parameters if it.name not in NAMES and it.default is it.empty]
    if unknown:
        raise NoReward("reward() wants %s, which there is not; there are: %s" % (unknown[0], ", ".join(NAMES)))
    return names


def plain(value):
    """A finite number, or a dict of them by name."""
    if isinstance(value, dict):
        return {str(name): number(each, " as " + str(name)) for name, each in value.items()}
    return number(value, "")


def number(value, place):
    if hasattr(value, "item") and not isinstance(value, numbers.Number):
        value = value.item()  # an array of one number
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    shown = "nothing" if value is None else repr(value)[:60]
    raise TypeError("reward() returned %s%s" % (shown, place))


def describe(error):
    text = str(error).split("\n")[0]
    return type(error).__name__ + (": " + text if text else "")


def line_of(error, path):
    """Of the user's file, where the error came up."""
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return lines[-1] if lines else getattr(error, "lineno", None)


def answer(function, names, row, path):
    try:
        value = function(**{name: row[name] for name in (NAMES if names is None else names) if name in row})
    except BaseException as error:
        return {"error": "reward() raised " + describe(error), "line": line_of(error, path)}
    try:
        return {"value": plain(value)}
    except Exception as error:
        return {"error": str(error), "unfit": True}


def main(path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run decides when to stop
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)

    def reply(value):
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    try:
        function, names = load(path)
    except NoReward as error:
        return reply({"error": str(error)})
    except BaseException as error:
        what = "the reward file can't be loaded: " + describe(error)
        return reply({"error": what, "line": line_of(error, path)})
    reply({"ready": True})
    for line in requests:
        reply(answer(function, names, json.loads(line), path))


main(sys.argv[1])
