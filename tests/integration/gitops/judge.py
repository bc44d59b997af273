"""Run by another Python, which has Lua and CEL: what Argo CD's script and Flux's expressions say of objects.

Standard input: {"lua": SCRIPT, "cel": {NAME: EXPRESSION}, "objects": […]}; standard output: a list of {"argo": {…}, "flux": {NAME: bool}}.
Argo CD runs Lua 5.1 without its libraries.
"""

import json
import sys

import celpy
import lupa.lua51 as lupa

LIBRARIES = ("os", "io", "string", "table", "math", "package", "debug", "require", "load", "dofile")


def argo(script, body):
    """Return status and message of an object, as Argo CD asks for them."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    for name in LIBRARIES:
        lua.globals()[name] = None
    lua.globals().obj = _as_lua(lua, body)
    found = lua.execute(script)
    return {"status": found["status"], "message": found["message"]}


def _as_lua(lua, value):
    if isinstance(value, dict):
        return lua.table_from({key: _as_lua(lua, each) for key, each in value.items()})
    if isinstance(value, list):
        return lua.table_from([_as_lua(lua, each) for each in value])
    return value


def main():
    """Judge what comes in."""
    asked = json.load(sys.stdin)
    cel = celpy.Environment()
    programs = {name: cel.program(cel.compile(text)) for name, text in asked["cel"].items()}
    answers = [
        {
            "argo": argo(asked["lua"], body),
            "flux": {
                name: bool(program.evaluate({"status": celpy.json_to_cel(body["status"])}))
                for name, program in programs.items()
            },
        }
        for body in asked["objects"]
    ]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
