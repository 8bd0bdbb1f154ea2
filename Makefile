# `make` is what a change must pass; it needs nothing. The others take the active environment:
# pip install -r requirements.txt -r requirements-test.txt -e .
.PHONY: all check test coverage docs

all:
	.ci/run

check: # lint, format, types: seconds
	ruff check .
	ruff format --check .
	mypy

test:
	pytest -q -n 2

coverage: # 95 % of the lines at least
	pytest -q -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=95

docs: # every example of README, of docs/ and of the docstrings runs (tests/test_docs.py)
	pytest -q tests/test_docs.py
