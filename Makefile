# `make` is what a change must pass; it needs nothing. The others take the active environment:
# pip install -r requirements.txt -r requirements-test.txt -e .
.PHONY: all check test docs

all:
	.ci/run

check: # lint, format, types: seconds
	ruff check .
	ruff format --check .
	mypy

test:
	pytest -q -n 2

docs: # every example of README, of docs/ and of the docstrings runs (tests/test_docs.py)
	pytest -q tests/test_docs.py
