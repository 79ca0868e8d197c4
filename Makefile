# What CONTRIBUTING.md says to run. `make demo` and `make test` are the README's.

SHELL := bash
GO ?= go
# Each fuzz target runs this long in `make check`; `make fuzz` is for longer.
FUZZTIME ?= 5s

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
ERRCHECK := github.com/kisielk/errcheck@v1.30.0
ERRORLINT := github.com/polyfloyd/go-errorlint@v1.8.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

.PHONY: demo build tools test check format vet lint race fuzz bench vulnerabilities

demo: build
	./entry demo

build:
	$(GO) build -o entry ./cmd/entry

tools:
	./e2e/tools

test: tools build vet
	$(GO) test -timeout 20m ./...

# Everything that needs no network comes first. The layers are part of the
# tests, named once more so that a broken one shows before the long ones.
check: format vet lint tools
	$(GO) test -run 'Layer|TopLevel' ./e2e
	$(MAKE) race fuzz vulnerabilities

format:
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "not formatted (run gofmt -w):"; echo "$$files"; exit 1; fi

vet:
	$(GO) vet ./...

lint:
	$(GO) run $(STATICCHECK) ./...
	$(GO) run $(ERRCHECK) -ignoretests -exclude .ci/errcheck.exclude ./...
	$(GO) run $(ERRORLINT) ./...

race:
	$(GO) test -race -timeout 40m ./...

fuzz:
	./.ci/fuzz $(FUZZTIME)

bench:
	$(GO) test -run '^$$' -bench . -benchmem ./...

vulnerabilities:
	./.ci/vulnerabilities $(GOVULNCHECK)
