"""The command line: `app`, and one file a command.

A command parses, calls one function, and prints what it gave. Nothing is computed here.
"""
