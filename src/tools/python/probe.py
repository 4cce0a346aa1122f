"""What the sandbox needs of this host's Python, as one line of JSON.

Runs outside of the sandbox, once. It names the interpreter, the folders of its standard library and
packages, and the shared libraries that they load; nothing else of the host is shown to a snippet.
"""
import ctypes
import glob
import importlib
import json
import os
import sys

# Their libraries are of no use without a terminal or a screen.
SKIPPED = ("_tkinter", "_curses", "readline", "_gdbm", "_dbm", "_test", "xx")


def packages():
    """Versions of what a snippet may import beside the standard library."""
    found = {}
    for name in ("numpy", "sympy"):
        try:
            found[name] = importlib.import_module(name).__version__
        except Exception:
            continue
    if "numpy" in found:
        numpy = sys.modules["numpy"]
        numpy.linalg.inv(numpy.eye(3) @ numpy.eye(3))  # some builds load more at the first product
    return found


def folders():
    """Of the search path, what belongs to Python and its packages."""
    library = os.path.dirname(os.__file__)
    own = (os.sep + "site-packages", os.sep + "dist-packages", os.sep + "lib-dynload")
    path = [library] + [it for it in sys.path if it.endswith(own) and os.path.isdir(it)]
    return list(dict.fromkeys(os.path.abspath(it) for it in path))


def load_extensions(path):
    """So that the libraries that they need are loaded too."""
    for folder in path:
        if not folder.endswith("lib-dynload"):
            continue
        for file in glob.glob(os.path.join(folder, "*.so")):
            if os.path.basename(file).startswith(SKIPPED):
                continue
            try:
                ctypes.CDLL(file)
            except OSError:
                continue


class Info(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("name", ctypes.c_char_p)]


def libraries():
    """Paths of all loaded libraries under the names by which the loader finds them."""
    names = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)
    def visit(info, _size, _data):
        names.append(os.fsdecode(info.contents.name or b""))
        return 0

    ctypes.CDLL(None).dl_iterate_phdr(visit, None)
    return [it for it in dict.fromkeys(names) if os.path.isfile(it)]


def main():
    found = packages()
    path = folders()
    load_extensions(path)
    executable = getattr(sys, "_base_executable", None) or sys.executable
    print(
        json.dumps(
            {
                "executable": os.path.realpath(executable),
                "version": "%d.%d.%d" % sys.version_info[:3],
                "home": sys.base_prefix + ":" + sys.base_exec_prefix,
                "path": path,
                "libraries": libraries(),
                "packages": found,
            }
        )
    )


main()
