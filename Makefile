# What CONTRIBUTING.md says to run. `make demo` and `make test` are the README's.

SHELL := bash
GO ?= go
# Each fuzz target runs this long in `make check` and in `make soak`.
FUZZTIME ?= 5s
SOAKFUZZ ?= 1m
# Which part of their full size the long tests of `make soak` have.
SOAK ?= 1
# How often each side takes its turn in `make bench`, and the file that gets the figures.
ROUNDS ?= 5
FIGURES ?= bench.json

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRCHECK := github.com/kisielk/errcheck@v1.30.0
ERRORLINT := github.com/polyfloyd/go-errorlint@v1.8.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

.PHONY: demo build tools test check format vet systems lint linters structure race fuzz soak bench benchmarks vulnerabilities

demo: build
	./entry demo

build:
	$(GO) build -o entry ./cmd/entry

tools:
	./e2e/tools

# The time is where a hang ends, with everybody's stacks; each wait has a bound
# of its own long before it. The longest package comes first: the others run beside
# it, where it waits.
test: tools build vet
	$(GO) test -timeout 60m ./e2e ./...

# What needs no program and little time comes first.
check: format vet systems lint structure tools race fuzz vulnerabilities

format:
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted (run gofmt -w):"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...

# Servers run on Linux; who reviews recordings and the log, or edits the policy,
# may sit at anything.
systems:
	for os in darwin windows; do \
		GOOS=$$os $(GO) build -o /dev/null ./cmd/entry && \
		GOOS=$$os $(GO) vet ./cmd/entry ./audit/... ./session/recording/... || exit 1; \
	done

lint:
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(ERRCHECK) -ignoretests -exclude .ci/errcheck.exclude ./...
	$(GO) run $(ERRORLINT) ./...

# Fetches and builds what lint runs, which is where a network is needed.
linters:
	GOBIN=$$(mktemp -d) && export GOBIN && trap 'rm -rf "$$GOBIN"' EXIT && \
	for tool in $(STATICCHECK) $(ERRCHECK) $(ERRORLINT); do $(GO) install $$tool || exit 1; done

# The tests that look at the tree alone: the layers, the package map, who starts
# goroutines. They are part of the others, named once more so that a broken one
# shows before the long ones.
structure:
	$(GO) test -run 'Layer|TopLevel|Readme|Goroutine' ./e2e

race:
	$(GO) test -race -timeout 90m ./...

fuzz:
	./.ci/fuzz $(FUZZTIME)

# The long runs: hours on two cores, nothing that leaves this machine.
soak: tools build
	ENTRY_SOAK=$(SOAK) $(GO) test -run Soak -v -count 1 -timeout 12h ./...
	./.ci/fuzz $(SOAKFUZZ)

# entry beside sshd: docs/performance.md says how to read it, and which flags there
# are for BENCH. It wants the machine for itself.
bench: tools
	dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	$(GO) test -c -o "$$dir/bench" ./e2e/bench && cd e2e/bench && \
	"$$dir/bench" -test.run '^TestFigures$$' -test.timeout 0 -rounds $(ROUNDS) -json '$(abspath $(FIGURES))' $(BENCH)

# What single packages measure of themselves.
benchmarks:
	$(GO) test -run '^$$' -bench . -benchmem ./...

vulnerabilities:
	./.ci/vulnerabilities $(GOVULNCHECK)
