"""Runs tests of model-written code so that the code can't say how they went.

Two processes. The judge has the tests, evaluates every comparison and alone can write the verdict.
The candidate has the code, and answers calls: name and arguments in, a value out. It has never had
the tests in its memory, not even as the copy of another process. Its answers are plain values,
which the judge builds itself from a notation that names no class and calls nothing; other objects
stay in the candidate, and the judge holds a name of them (`Remote`). So an object that equals
everything, a patched assert, an exit, "passed" on the output or a forged answer gain nothing: they
are wrong values.

A test is an assert statement in the source whose condition is no constant. It passes when it was
reached and never failed. When the run does not come to its end, an assert in a loop or in a
function of the tests has not passed. Known limits: arguments are copies, so a change made in place
is not seen; a candidate sees the arguments of each call, as any function does; a test that
compares nothing but attributes of the candidate's own objects believes them.
"""
import ast
import builtins
import importlib.util
import io
import json
import os
import pickle
import signal

import icrl_values as values

MAX_DETAILS = 8
MAX_TEXT = 200


class Ended(BaseException):
    """The candidate is gone or the time is over. Not an Exception: tests do not catch it."""


class Remote:
    """An object in the candidate: called, read, set and walked through, never compared."""

    def __init__(self, candidate, target):
        object.__setattr__(self, "_candidate", candidate)
        object.__setattr__(self, "_target", target)

    def __call__(self, *args, **kwargs):
        return self._candidate.ask("call", self._target, args, kwargs)

    def __getattr__(self, name):
        return self._candidate.ask("get", self._target, name)

    def __setattr__(self, name, value):
        self._candidate.ask("set", self._target, name, value)

    def __iter__(self):
        return iter(self._candidate.ask("list", self._target))


class ArgumentPickler(pickle.Pickler):
    def persistent_id(self, it):
        return it._target if type(it) is Remote else None


def raised(name, message):
    """An error of the candidate, for the tests. StopIteration would end a loop of theirs."""
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    unfit = (StopIteration, StopAsyncIteration, Warning, UnicodeError)
    is_fit = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, unfit)
    return kind(message) if is_fit else RuntimeError("%s: %s" % (name, message))


class Candidate:
    def ask(self, *question):
        data = io.BytesIO()
        ArgumentPickler(data, protocol=4).dump(question)
        try:
            values.send(values.CALLS, data.getvalue())
            return self.reply()
        except BrokenPipeError:
            raise Ended("the code ended its process")

    def reply(self):
        data = values.receive(values.REPLIES)
        if data is None:
            raise Ended("the code ended its process")
        try:
            reply = json.loads(data)
            if "value" in reply:
                return values.decode(reply["value"], lambda number: Remote(self, number))
            name, message = [str(it) for it in reply["error"]]
        except Exception:
            raise RuntimeError("the code answered with no value")
        raise raised(name, message)


MARKED = """
try:
    __entered__(NUMBER)
    if ...:
        __held__(NUMBER)
except Exception:
    pass
"""


class Marks(ast.NodeTransformer):
    """Turns each assert into marks: entered before the condition, held after it."""

    def __init__(self, first):
        self.texts, self.is_nested, self.first, self.depth = [], [], first, 0

    def visit_Assert(self, node):
        if isinstance(node.test, ast.Constant):
            return ast.copy_location(ast.Pass(), node)
        number = self.first + len(self.texts)
        self.texts.append(shorten(ast.unparse(node)))
        self.is_nested.append(self.depth > 0)
        marked = ast.parse(MARKED.replace("NUMBER", str(number))).body[0]
        marked.body[1].test = node.test
        return ast.fix_missing_locations(ast.copy_location(marked, node))

    def nested(self, node):
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1
        return node

    visit_For = visit_While = visit_FunctionDef = visit_ClassDef = visit_With = visit_Try = nested


def shorten(text):
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


class Run:
    """One run of all tests: what was entered, what held, what stopped it."""

    def __init__(self):
        self.texts, self.is_nested, self.entered, self.held = [], [], [], []
        self.unfinished, self.notes = set(), []

    def mark(self, source, top):
        """Compiles tests; `top` names the function whose own statements are not nested."""
        tree = ast.parse(source)
        marks = Marks(len(self.texts))
        for index, node in enumerate(tree.body):
            if isinstance(node, ast.FunctionDef) and node.name == top:
                marks.depth = -1
            tree.body[index] = marks.visit(node)
            marks.depth = 0
        first = len(self.texts)
        self.texts += marks.texts
        self.is_nested += marks.is_nested
        self.entered += [0] * len(marks.texts)
        self.held += [0] * len(marks.texts)
        return compile(tree, "<tests>", "exec"), range(first, len(self.texts))

    def names(self):
        def entered(number):
            self.entered[number] += 1

        def held(number):
            self.held[number] += 1

        return {"__name__": "tests", "__entered__": entered, "__held__": held}

    def attempt(self, numbers, action):
        """Runs `action`; an error of its own leaves asserts in loops open."""
        try:
            action()
        except Exception as error:
            self.leave(numbers, error)
        except Ended as error:
            self.leave(numbers, error)
            raise

    def leave(self, numbers, error):
        self.unfinished.update(numbers)
        self.notes.append("%s: %s" % (type(error).__name__, shorten(str(error))))

    def passed(self, number):
        is_open = number in self.unfinished and self.is_nested[number]
        return not is_open and self.entered[number] == self.held[number] > 0

    def verdict(self):
        failed = [i for i in range(len(self.texts)) if not self.passed(i)]
        details = self.notes[:MAX_DETAILS] + [self.texts[i] for i in failed[:MAX_DETAILS]]
        total = len(self.texts)
        return {"passed": total - len(failed), "total": total, "detail": "\n".join(details)}


def used_names(source):
    """Names in the tests: of each, whether it is only ever looked into, as a module is."""
    nodes = list(ast.walk(ast.parse(source)))
    owners = {id(it.value) for it in nodes if isinstance(it, ast.Attribute)}
    uses = {}
    for it in nodes:
        if isinstance(it, ast.Name):
            uses.setdefault(it.id, []).append(id(it) in owners)
    return {name: all(seen) for name, seen in uses.items()}


def provide(names, source, candidate):
    """Names that the tests use and nobody else defines: modules of Python's, or the candidate's."""
    for name, is_looked_into in used_names(source).items():
        if name in names or hasattr(builtins, name):
            continue
        is_module = is_looked_into and importlib.util.find_spec(name) is not None
        names[name] = importlib.import_module(name) if is_module else Remote(candidate, name)


def run_humaneval(run, tests, candidate):
    code, numbers = run.mark(tests["test"], "check")
    yield
    names = run.names()
    exec(compile(tests["prompt"], "<prompt>", "exec"), names)
    names[tests["entryPoint"]] = Remote(candidate, tests["entryPoint"])
    provide(names, tests["test"], candidate)
    exec(code, names)
    run.attempt(numbers, lambda: names["check"](names[tests["entryPoint"]]))


def run_mbpp(run, tests, candidate):
    marked = [run.mark(source, None) for source in tests["asserts"]]
    setup = compile(tests["setup"], "<setup>", "exec")
    yield
    names = run.names()
    provide(names, "\n".join([tests["setup"], *tests["asserts"]]), candidate)
    every = range(len(run.texts))
    run.attempt(every, lambda: exec(setup, names))
    for code, numbers in marked:
        run.attempt(numbers, lambda: exec(code, names))


def over(*_):
    raise Ended("the time is over")


def main(text, time_ms):
    """`text`: JSON of the tests. Writes the verdict and ends the process."""
    os.chdir("/")
    run, tests, candidate = Run(), json.loads(text), Candidate()
    signal.signal(signal.SIGALRM, over)
    try:
        steps = {"humaneval": run_humaneval, "mbpp": run_mbpp}[tests["kind"]](run, tests, candidate)
        next(steps)
        signal.setitimer(signal.ITIMER_REAL, time_ms / 1000)
        candidate.reply()  # the code is loaded
        for _ in steps:
            pass
    except (Exception, Ended) as error:
        run.leave(range(len(run.texts)), error)
    signal.setitimer(signal.ITIMER_REAL, 0)
    send_verdict(run.verdict())
    os._exit(0)


def send_verdict(verdict):
    data = json.dumps(verdict).encode()
    while data:
        data = data[os.write(values.VERDICT, data) :]
