"""Runs one snippet, in a process of its own that ends with it, and reports as a notebook does.

What is printed goes straight to the output pipe. The report pipe gets one letter and a text: "v"
and the value of the last expression, or "e" and the error with the lines of the snippet that led
to it, without paths. The snippet could write both by itself, which is no more than printing:
nothing that is trusted is decided here.
"""
import ast
import atexit
import os
import sys
import threading
import traceback
import types

NAME = "<snippet>"
REPORT = 3  # file descriptor
MAX_FRAMES = 3
MAX_LINE = 160
MAX_REPORT = 4000  # characters


def shorten(text, most):
    return text if len(text) <= most else text[: most - 3] + "..."


def source_line(lines, number):
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return shorten(text, MAX_LINE)


def where(error, lines):
    """The last lines of the snippet that the error came through; the innermost last."""
    steps = []
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename == NAME:
            function = frame.f_code.co_name
            inside = "" if function == "<module>" else ", in " + function
            steps.append("line %d%s: %s" % (number, inside, source_line(lines, number)))
    return steps[-MAX_FRAMES:]


def describe(error, lines):
    if isinstance(error, SyntaxError) and error.filename == NAME:
        place = ["line %d: %s" % (error.lineno or 0, source_line(lines, error.lineno or 0))]
        return "\n".join(place + ["%s: %s" % (type(error).__name__, error.msg)])
    last = "".join(traceback.format_exception_only(type(error), error)).strip()
    return "\n".join(where(error, lines) + [last])


def split(code):
    """Statements to run and the expression at the end, if there is one."""
    tree = ast.parse(code, NAME)
    if not tree.body or not isinstance(tree.body[-1], ast.Expr):
        return tree, None
    last = ast.Expression(tree.body.pop().value)
    return tree, last


def evaluate(code):
    """repr of the last expression, or None."""
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    body, last = split(code)
    exec(compile(body, NAME, "exec"), main.__dict__)
    if last is None:
        return None
    value = eval(compile(last, NAME, "eval"), main.__dict__)
    return None if value is None else repr(value)


def finish():
    """What Python does at its end and a snippet can see."""
    threading._shutdown()
    atexit._run_exitfuncs()


def run(code):
    """The report and the exit code."""
    try:
        try:
            value = evaluate(code)
        finally:
            finish()
        return ("", 0) if value is None else ("v" + value, 0)
    except SystemExit as error:
        if error.code is None or error.code == 0:
            return "", 0
        return "eSystemExit: %s" % (error.code,), 1
    except BaseException as error:
        try:
            return "e" + describe(error, code.splitlines()), 1
        except BaseException:
            return "e" + type(error).__name__, 1


def main(code):
    """Never returns."""
    status, own = 1, os.getpid()
    try:
        sys.argv = [NAME]
        sys.path.insert(0, "")
        sys.stdout.reconfigure(line_buffering=True)
        report, status = run(code)
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except Exception:
                continue
        if os.getpid() != own:  # a fork that the snippet made
            os._exit(status)
        if len(report) > MAX_REPORT:
            report = report[0] + "..." + report[3 - MAX_REPORT :]
        os.write(REPORT, report.encode("utf-8", "backslashreplace"))
    finally:
        os._exit(status)
