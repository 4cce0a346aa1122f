"""Runs tests of model-written code so that the code can't say how they went.

Two processes. The judge has the tests, evaluates every comparison and alone can write the verdict. The
candidate has the code, and answers calls: name and arguments in, a value out. It has never had the
tests in its memory, not even as the copy of another process. Its answers are plain values, which the
judge builds itself from a notation that names no class and calls nothing; other objects stay in the
candidate, and the judge holds a name of them (`Remote`). So an object that equals everything, a
patched assert, an exit, "passed" on the output or a forged answer gain nothing: they are wrong values.

A test is an assert statement in the source whose condition is no constant. It passes when it was
reached and never failed. When the run does not come to its end, an assert in a loop or in a function
of the tests has not passed. Known limits: arguments are copies, so a change made in place is not seen;
a candidate sees the arguments of each call, as any function does; a test that compares nothing but
attributes of the candidate's own objects believes them.
"""
import ast
import builtins
import decimal
import fractions
import importlib.util
import io
import json
import os
import pickle
import signal
import struct
import sys

VERDICT, CALLS, REPLIES = 3, 4, 5  # descriptors; the candidate has the last two
MAX_REPLY = 1 << 24  # bytes
MAX_ITEMS = 1_000_000  # of an iterator
MAX_DETAILS = 8
MAX_TEXT = 200


# ---- one frame each way


def send(fd, data):
    view = memoryview(struct.pack("<I", len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def receive(fd):
    """None at the end."""
    size = take(fd, 4)
    if size is None:
        return None
    (length,) = struct.unpack("<I", size)
    return None if length > MAX_REPLY else take(fd, length)


def take(fd, count):
    data = bytearray()
    while len(data) < count:
        part = os.read(fd, min(count - len(data), 1 << 16))
        if not part:
            return None
        data += part
    return bytes(data)


# ---- values of the candidate, as JSON


def encode(value, keep):
    """`keep` takes an object that is no plain value and gives its number."""
    inner = lambda items: [encode(it, keep) for it in items]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"int": hex(value)}
    if isinstance(value, float):
        return {"float": float.hex(value)}
    if isinstance(value, complex):
        return {"complex": [float.hex(value.real), float.hex(value.imag)]}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return {"bytes": bytes(value).hex()}
    if isinstance(value, list):
        return inner(value)
    if isinstance(value, dict):
        return {"dict": [inner(pair) for pair in value.items()]}
    for name, kind in (("tuple", tuple), ("set", set), ("frozenset", frozenset)):
        if isinstance(value, kind):
            return {name: inner(value)}
    if isinstance(value, decimal.Decimal):
        return {"decimal": str(value)}
    if isinstance(value, fractions.Fraction):
        return {"fraction": [hex(value.numerator), hex(value.denominator)]}
    if isinstance(value, range):
        return {"range": [hex(value.start), hex(value.stop), hex(value.step)]}
    if type(value).__module__ == "numpy" and hasattr(value, "item") and value.ndim == 0:
        return encode(value.item(), keep)
    return {"remote": keep(value)}


def integers(values):
    return [int(it, 16) for it in values]


def decode(value, remote):
    """The plain value; raises where the notation is not one. `remote` makes a stand-in of a number."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, list):
        return [decode(it, remote) for it in value]
    ((name, content),) = value.items()
    if name in ("tuple", "set", "frozenset"):
        return getattr(builtins, name)(decode(it, remote) for it in content)
    if name == "dict":
        return {decode(key, remote): decode(it, remote) for key, it in content}
    if name == "int":
        return int(content, 16)
    if name == "float":
        return float.fromhex(content)
    if name == "complex":
        return complex(*[float.fromhex(it) for it in content])
    if name == "bytes":
        return bytes.fromhex(content)
    if name == "decimal":
        return decimal.Decimal(content)
    if name == "fraction":
        return fractions.Fraction(*integers(content))
    if name == "range":
        return range(*integers(content))
    if name == "remote":
        return remote(int(content))
    raise ValueError("no value")


# ---- the judge's side of a call


class Ended(BaseException):
    """The candidate is gone or the time is over. Not an Exception: tests do not catch it."""


class Remote:
    """An object that lives in the candidate: called, read, set and walked through, never compared."""

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
    """An error of the candidate, as the tests see it. StopIteration would end a loop of the tests."""
    kind = getattr(builtins, name, None) if isinstance(name, str) else None
    unfit = (StopIteration, StopAsyncIteration, Warning, UnicodeError)
    is_fit = isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, unfit)
    return kind(message) if is_fit else RuntimeError("%s: %s" % (name, message))


class Candidate:
    def ask(self, *question):
        data = io.BytesIO()
        ArgumentPickler(data, protocol=4).dump(question)
        try:
            send(CALLS, data.getvalue())
            return self.reply()
        except BrokenPipeError:
            raise Ended("the code ended its process")

    def reply(self):
        data = receive(REPLIES)
        if data is None:
            raise Ended("the code ended its process")
        try:
            reply = json.loads(data)
            if "value" in reply:
                return decode(reply["value"], lambda number: Remote(self, number))
            name, message = [str(it) for it in reply["error"]]
        except Exception:
            raise RuntimeError("the code answered with no value")
        raise raised(name, message)


# ---- the candidate's process


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
        text = json.dumps({"value": encode(value, lambda it: held.append(it) or len(held) - 1)})
    except BaseException as error:
        message = str(error)[:MAX_TEXT]
        text = json.dumps({"error": [type(error).__name__, message]})
    send(REPLIES, text.encode())


def load(code):
    """The names that the code defines, or the error that it ends in."""
    names = {"__name__": "candidate", "__builtins__": builtins}
    try:
        exec(compile(code, "<code>", "exec"), names)
        return names, None
    except BaseException as error:
        return names, [type(error).__name__, str(error)[:MAX_TEXT]]


def serve(text):
    names, error = load(text)
    send(REPLIES, json.dumps({"value": None} if error is None else {"error": error}).encode())
    held = []
    while error is None:
        data = receive(CALLS)
        if data is None:
            break
        respond(data, held, names)
    os._exit(0)


# ---- the tests


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
        marked = ast.parse(
            "try:\n __entered__(%d)\n if 0:\n  __held__(%d)\nexcept Exception: pass" % (number, number)
        ).body[0]
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


def judge(text, time_ms):
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
        data = data[os.write(VERDICT, data) :]
