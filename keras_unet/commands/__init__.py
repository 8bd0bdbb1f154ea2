"""The command line: `app`, and one file a command, which parses, calls one function, prints."""
