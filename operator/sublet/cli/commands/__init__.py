"""The commands as a person sees them: options and words. One module each, of the command's name, with nothing heavy.

`table` lists them and `lazy` loads one when it is called, or when its own help is asked for. So help and completion
answer at once. What a command does is in a module of `sublet.cli`, imported inside the function that calls it.
"""
